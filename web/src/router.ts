// SPDX-License-Identifier: Apache-2.0
// Addresses behind the "#": #/tracking/0f3zt5tq2rk80?sender=a → path ["tracking", "0f3zt5tq2rk80"], query {sender: "a"}.
import { useEffect, useState } from 'preact/hooks';

export interface Route {
    path: string[];
    query: Record<string, string>;
}

function decode(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

export function parse(hash: string): Route {
    const [path, query] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s, 2) as [string, string?];
    return { path: path.split('/').filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query ?? '')) };
}

export type Query = Record<string, string | number | boolean | undefined | null>;

/** "v1/queue" and {sender: "a", limit: 10} → "v1/queue?sender=a&limit=10"; what is empty is left out. */
export function withQuery(path: string, query?: Query): string {
    const args = new URLSearchParams();
    for (const [k, v] of Object.entries(query ?? {})) if (v !== undefined && v !== null && v !== '') args.set(k, String(v));
    const text = args.toString();
    return path + (text ? `?${text}` : '');
}

/** href(['queue', id]) → "#/queue/id"; what is empty in the query is left out. */
export function href(path: string[], query?: Query): string {
    return withQuery('#/' + path.map(encodeURIComponent).join('/'), query);
}

/** replace: no new entry in the browser's history (filters as one types). */
export function navigate(path: string[], query?: Query, replace = false): void {
    const to = href(path, query);
    if (to === location.hash) return;
    if (!replace) {
        location.hash = to;
        return;
    }
    history.replaceState(null, '', to);
    dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute(): Route {
    const [route, setRoute] = useState(() => parse(location.hash));
    useEffect(() => {
        const f = () => setRoute(parse(location.hash));
        f(); /* what is below may have gone on before this listened */
        addEventListener('hashchange', f);
        return () => removeEventListener('hashchange', f);
    }, []);
    return route;
}
