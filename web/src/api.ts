// SPDX-License-Identifier: Apache-2.0
// Requests to the relay: JSON both ways, with the session's CSRF word; who is no longer logged in sees the log-in page.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { withQuery } from './router';
import type { Query } from './router';
import { session, setSession, setSetupNeeded } from './session';
import type { Session } from './session';

export class ApiError extends Error {
    constructor(
        public status: number,
        message: string,
        public body: Record<string, unknown>,
    ) {
        super(message);
    }
}

/** One segment of a path. */
export const segment = encodeURIComponent;

export interface RequestOptions {
    signal?: AbortSignal;
    /** Nobody did this: it does not keep the session alive. */
    background?: boolean;
    /** A 401 is an answer, not the end of the session (the log-in itself, passwords). */
    keep?: boolean;
    /** The answer is a file: a Download. */
    file?: boolean;
}
export interface Download {
    name: string;
    blob: Blob;
}

async function fileOf(response: Response): Promise<Download> {
    const name = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '')?.[1] ?? 'download';
    return { name, blob: await response.blob() };
}

/** body: a file goes as it is, anything else as JSON. */
export async function request<T>(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json' };
    const file = body instanceof Blob;
    if (body !== undefined) headers['Content-Type'] = file ? 'application/octet-stream' : 'application/json';
    if (method !== 'GET' && session()?.csrf) headers['X-Postern-CSRF'] = session()!.csrf;
    if (options.background) headers['X-Postern-Background'] = '1';
    const was = session();
    let response: Response, text: string;
    try {
        response = await fetch(path.replace(/^\//, ''), {
            method,
            headers,
            body: body === undefined || file ? body : JSON.stringify(body),
            signal: options.signal,
            credentials: 'same-origin',
            cache: 'no-store',
        });
        if (options.file && response.ok) return (await fileOf(response)) as T;
        text = await response.text();
    } catch (e) {
        if (options.signal?.aborted) throw e;
        throw new ApiError(0, '', {}); /* no answer, or one that broke off; shown in the reader's language */
    }
    let answer: Record<string, unknown> = {};
    try {
        answer = text ? JSON.parse(text) : {};
    } catch {
        if (response.ok) throw new ApiError(response.status, 'not JSON', {});
    }
    if (response.ok) return answer as T;
    if (response.status === 401 && !options.keep && session() === was) {
        setSetupNeeded(answer.setup === true);
        if (was !== null) setSession(null, !!was); /* once: several requests may find out */
    }
    throw new ApiError(response.status, typeof answer.error === 'string' ? answer.error : `HTTP ${response.status}`, answer);
}

export const get = <T>(path: string, args?: Query, options?: RequestOptions) => request<T>('GET', withQuery(path, args), undefined, options);
export const post = <T>(path: string, body: unknown = {}, options?: RequestOptions) => request<T>('POST', path, body, options);
export const put = <T>(path: string, body: unknown = {}, options?: RequestOptions) => request<T>('PUT', path, body, options);
export const patch = <T>(path: string, body: unknown = {}, options?: RequestOptions) => request<T>('PATCH', path, body, options);
export const del = <T>(path: string, body?: unknown, options?: RequestOptions) => request<T>('DELETE', path, body, options);

/** Who is logged in. Throws when the relay does not tell: then all stays as it was. */
export async function loadSession(options?: RequestOptions): Promise<void> {
    const was = session();
    try {
        const who = await get<Session>('/v1/session', undefined, options);
        if (session() === was) setSession(who); /* else somebody logged in or out meanwhile */
    } catch (e) {
        if (!(e instanceof ApiError) || e.status !== 401) throw e; /* 401: known by now */
    }
}

export interface Loaded<T> {
    data: T | undefined;
    error: ApiError | undefined;
    busy: boolean;
    reload: () => void;
}

/** What GET path gives; asked again when path or arguments change, and every `every` ms in the background. null: nothing yet. */
export function useGet<T>(path: string | null, args?: Query, every?: number): Loaded<T> {
    const address = path === null ? null : withQuery(path, args);
    const [state, setState] = useState<{ data?: T; error?: ApiError; busy: boolean }>({ busy: address !== null });
    const [turn, setTurn] = useState(0);
    const background = useRef<string | null>(null); /* the address that is to be asked again, though nobody wanted it */
    useEffect(() => {
        if (address === null) {
            setState({ busy: false });
            return;
        }
        const abort = new AbortController();
        const quiet = background.current === address;
        background.current = null;
        if (!quiet) setState((s) => ({ ...s, busy: true, error: undefined }));
        let timer: ReturnType<typeof setTimeout> | undefined;
        request<T>('GET', address, undefined, { signal: abort.signal, background: quiet })
            .then((data) => setState({ data, busy: false }))
            .catch((e) => {
                if (!abort.signal.aborted)
                    setState((s) => ({
                        data: quiet ? s.data : undefined,
                        error: e instanceof ApiError ? e : new ApiError(0, String(e), {}),
                        busy: false,
                    }));
            })
            .finally(() => {
                if (!every || abort.signal.aborted) return;
                const again = () => {
                    if (document.hidden) {
                        /* nobody looks */
                        timer = setTimeout(again, every);
                        return;
                    }
                    background.current = address;
                    setTurn((n) => n + 1);
                };
                timer = setTimeout(again, every);
            });
        return () => {
            abort.abort();
            clearTimeout(timer);
        };
    }, [address, turn, every]);
    const reload = useCallback(() => {
        background.current = null;
        setTurn((n) => n + 1);
    }, []);
    return { data: state.data, error: state.error, busy: state.busy, reload };
}
