// SPDX-License-Identifier: Apache-2.0
// The configuration being edited: what is written, what was changed on top of it, and what the checker says of the result. There is one for
// all pages, so that changes stay while one moves between them.
import { useEffect } from 'preact/hooks';
import { ApiError, get, post } from '../api';
import { optionAt, readSchema } from './schema';
import type { Option } from './schema';
import { onSession, session, sessionEnded } from '../session';
import { watched } from '../watched';
import { postAnyway, shutsOut } from './anyway';
import { changesBetween, normal } from './changes';
import { applyChanges, isMap, same, valueAt, withValue } from './tree';
import type { Change, Tree } from './tree';

export interface Finding {
    severity: 'error' | 'warning';
    line?: number;
    column?: number;
    option?: string;
    text: string;
    hint?: string;
}
interface Config {
    version: string;
    values: Tree;
    written: Tree;            // each list as a list, each record as one (see normal())
    text: string;
    file: string;
    pending: boolean;
}
export interface Checked {
    ok: boolean;
    findings: Finding[];
    diff: string;
    text: string;
}
export interface Applied {
    ok: boolean;
    revision?: number;
    findings?: Finding[];
    reload?: { ok: boolean; error?: string; findings?: Finding[] };
}
/** Somebody else changed the file: what it is now, and which of our changes touch what he changed. */
interface Conflict {
    theirs: Config;
    clashes: string[];
}

/** A DNS list that comes with the program. */
interface KnownList {
    zone: string;
    title: string;
    home: string;
    of: string[];
    allow?: boolean;
    closed?: string;
}

interface State {
    schema?: Option;
    catalogue?: KnownList[];
    base?: Config;
    raw: Tree;                // base.written as it came
    tree: Tree;               // of the forms
    text: string | null;      // of the raw editor, where it was changed; the forms rest then
    checked?: Checked;        // of what is pending; undefined: not yet
    checking: boolean;
    conflict?: Conflict;
    error?: ApiError;
}

const state: State = { raw: {}, tree: {}, text: null, checking: false };
const { tell, use } = watched();
const DELAY = 350; // ms after the last key
let timer: ReturnType<typeof setTimeout> | undefined;
let running: AbortController | undefined;
let changes: Change[] = [];
let owner = session()?.name;
let loaded = 0;
const FRESH = 5000; // ms after which the file is looked at again when a page is opened

async function loadSchema(): Promise<void> {
    if (state.schema) return;
    const answer = await get<Record<string, unknown>>('/v1/schema');
    if (Array.isArray(answer['x-dns-lists'])) state.catalogue = answer['x-dns-lists'] as KnownList[];
    state.schema = readSchema(answer);
}

function forget(): void {
    owner = session()?.name;
    changes = [];
    Object.assign(state, { base: undefined, raw: {}, tree: {}, text: null, checked: undefined, checking: false, conflict: undefined });
    running?.abort();
    clearTimeout(timer);
}

/* What was typed, secrets among it, goes with whoever logs out; a session that ended by itself leaves it to him, and to nobody else. */
onSession(() => {
    const who = session();
    if (who ? who.name !== owner : !sessionEnded()) forget();
});

function take(config: Config): void {
    loaded = Date.now();
    state.raw = config.written ?? {};
    state.base = { ...config, written: normal(state.raw, state.schema!) };
    state.tree = state.base.written;
    state.text = null;
    state.checked = undefined;
    state.conflict = undefined;
    changes = [];
}

let loading = 0;

async function load(): Promise<void> {
    loading++;
    try {
        const [, config] = await Promise.all([loadSchema(), get<Config>('/v1/config')]);
        state.error = undefined;
        if (!pending()) take(config);
    } catch (e) {
        state.error = e instanceof ApiError ? e : new ApiError(0, String(e), {});
    } finally {
        loading--;
    }
    tell();
}

function pending(): boolean {
    return changes.length > 0 || state.text !== null;
}

function body(): Record<string, unknown> {
    return state.text !== null ? { text: state.text } : { changes };
}

async function check(): Promise<void> {
    running?.abort();
    clearTimeout(timer);
    if (!pending()) {
        state.checked = undefined;
        state.checking = false;
        tell();
        return;
    }
    const mine = (running = new AbortController());
    state.checking = true;
    tell();
    try {
        const answer = await post<Checked>('/v1/config/check', body(), { signal: mine.signal });
        if (mine.signal.aborted) return;
        state.checked = answer;
        state.error = undefined;
    } catch (e) {
        if (mine.signal.aborted) return;
        const found = e instanceof ApiError ? e.body.findings : undefined;
        state.checked = { ok: false, diff: '', text: '', findings: Array.isArray(found) ? (found as Finding[]) : [] };
        if (!state.checked.findings.length) state.checked.findings = [{ severity: 'error', text: e instanceof Error ? e.message : String(e) }];
    }
    state.checking = false;
    tell();
}

function checkSoon(): void {
    running?.abort();
    clearTimeout(timer);
    state.checking = true;
    timer = setTimeout(() => void check(), DELAY);
}

function difference(): Change[] {
    return changesBetween(state.base!.written, state.tree, state.raw, state.schema!);
}

/** A group of which nothing is left is not written either; entries of lists and maps stay. */
function withoutEmpty(tree: Tree, path: string): Tree {
    for (let at = path; at.includes('.');) {
        at = at.slice(0, at.lastIndexOf('.'));
        const value = valueAt(tree, at);
        if (at.endsWith(']') || optionAt(state.schema!, at)?.kind !== 'group' || isEntry(at)) break;
        if (!isMap(value) || Object.keys(value).length) break;
        tree = withValue(tree, at, undefined) ?? {};
    }
    return tree;
}

/** "zones.lan" */
function isEntry(path: string): boolean {
    return path.includes('.') && optionAt(state.schema!, path.slice(0, path.lastIndexOf('.')))?.kind === 'map';
}

/** undefined: as if it were not written. */
function set(path: string, value: Tree | undefined): void {
    if (!state.base || state.text !== null) return;
    let next: Tree = withValue(state.tree, path, value) ?? {};
    if (value === undefined) next = withoutEmpty(next, path);
    if (same(next, state.tree)) return;
    state.tree = next;
    changes = difference();
    if (!changes.length) state.tree = state.base.written;
    checkSoon();
    tell();
}

function setText(text: string): void {
    if (!state.base) return;
    state.text = text === state.base.text ? null : text;
    if (state.text !== null) changes = [];
    else state.tree = state.base.written;
    checkSoon();
    tell();
}

function discard(): void {
    if (state.base) take(state.base);
    running?.abort();
    clearTimeout(timer);
    state.checking = false;
    tell();
}

async function meet(): Promise<void> {
    const theirs = await get<Config>('/v1/config');
    const clashes = changes.map((c) => c.path.replace('[+]', ''))
        .filter((path) => !same(valueAt(state.raw, path), valueAt(theirs.written, path)));
    state.conflict = { theirs, clashes };
    tell();
}

/** Throws ApiError; where somebody else was faster, `conflict` is set besides. */
async function apply(comment: string): Promise<Applied> {
    if (!state.base) throw new ApiError(0, '', {});
    try {
        const answer = await postAnyway<Applied>('/v1/config/apply', { version: state.base.version, ...body(), ...(comment ? { comment } : {}) });
        changes = [];
        state.text = null;
        await load();
        return answer;
    } catch (e) {
        if (e instanceof ApiError && e.status === 409 && !shutsOut(e)) await meet();
        throw e;
    }
}

/** Our changes once more, on top of what is there now. */
function rebase(): void {
    const conflict = state.conflict;
    if (!conflict) return;
    const mine = changes, text = state.text;
    take(conflict.theirs);
    if (text !== null) state.text = text;
    else {
        state.tree = normal(applyChanges(state.raw, mine), state.schema!);
        changes = difference();
    }
    checkSoon();
    tell();
}

/** After something else wrote the file: a roll-back, a new key. Pending changes stay, on top of it. */
async function refresh(): Promise<void> {
    if (!pending()) return load();
    await meet();
    rebase();
}

addEventListener('beforeunload', (e) => {
    if (pending()) e.preventDefault();
});

export const draft = {
    state, load, refresh, set, setText, discard, apply, rebase, pending,
    changes: () => changes,
    count: () => (state.text !== null ? 1 : changes.length),
    value: (path: string): Tree | undefined => valueAt(state.tree, path),
    written: (path: string): Tree | undefined => valueAt(state.base?.written, path),
    effective: (path: string): Tree | undefined => valueAt(state.base?.values, path),
    changed: (path: string): boolean => !same(valueAt(state.tree, path), valueAt(state.base?.written, path)),
};

/** Draws the component anew when anything of the draft changes; loads it when nobody did. */
export function useDraft(): typeof draft {
    use();
    useEffect(() => {
        if (!loading && (!state.base || (!pending() && Date.now() - loaded > FRESH))) void load(); /* several parts of a page ask at once */
    }, []);
    return draft;
}

/** "domains[0].deliver" for a finding's own words ("domains[0].deliver" or with a blank at the ends). */
function optionOf(f: Finding): string {
    return (f.option ?? '').trim();
}

export function findingsAt(path: string): Finding[] {
    return (state.checked?.findings ?? []).filter((f) => optionOf(f) === path);
}

/** Of the option and all below. */
export function findingsBelow(path: string): Finding[] {
    return (state.checked?.findings ?? []).filter((f) => {
        const at = optionOf(f);
        return at === path || at.startsWith(`${path}.`) || at.startsWith(`${path}[`);
    });
}
