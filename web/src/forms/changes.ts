// SPDX-License-Identifier: Apache-2.0
// From a changed tree to the list of changes that is sent: as small as may be, so that comments and layout of the file stay.
import { childOf } from './schema';
import type { Option } from './schema';
import { isMap, join, same } from './tree';
import type { Change, Tree } from './tree';

/** Every list as a list, every record as a map ("a@example.com" is {match: "a@example.com"}), empty groups as {}. */
export function normal(value: Tree, option: Option): Tree {
    switch (option.kind) {
    case 'set':
    case 'list':
        return value === null || Array.isArray(value) ? value : [value];
    case 'group':
        return value === null ? {} : children(value, (name) => childOf(option, name));
    case 'map':
        return value === null ? {} : children(value, () => ({ ...option, kind: 'group' }));
    case 'records': {
        if (value === null) return [];
        const entry: Option = { ...option, kind: 'group' };
        const list = Array.isArray(value) ? value : [value];
        return list.map((x) => normal(!isMap(x) && option.scalar ? { [option.scalar]: x } : x, entry));
    }
    default:
        return value;
    }
}

function children(value: Tree, find: (name: string) => Option | undefined): Tree {
    if (!isMap(value)) return value;
    const out: { [name: string]: Tree } = {};
    for (const [name, x] of Object.entries(value)) {
        const option = find(name);
        out[name] = option ? normal(x, option) : x;
    }
    return out;
}

/** The short forms again: a record of nothing but its first option is that value. */
function short(value: Tree, option: Option | undefined): Tree {
    if (!option) return value;
    if (option.kind === 'records' && Array.isArray(value)) return value.map((x) => shortEntry(x, option));
    if (option.kind === 'group' && isMap(value))
        return Object.fromEntries(Object.entries(value).map(([name, x]) => [name, short(x, childOf(option, name))]));
    return value;
}

function shortEntry(value: Tree, option: Option): Tree {
    if (!isMap(value)) return value;
    const names = Object.keys(value);
    const only = option.scalar && names.length === 1 && names[0] === option.scalar ? value[option.scalar] : undefined;
    return typeof only === 'string' && only !== '' ? only : short(value, { ...option, kind: 'group' });
}

/** Entries that were taken out of a list, as indexes of it; undefined: more than that happened. */
function removals(a: Tree[], b: Tree[]): number[] | undefined {
    const gone: number[] = [];
    let j = 0;
    for (let i = 0; i < a.length; i++) {
        if (j < b.length && same(a[i], b[j])) j++;
        else gone.push(i);
    }
    return j === b.length ? gone : undefined;
}

function listChanges(path: string, a: Tree[], b: Tree[], raw: Tree[], option: Option | undefined, out: Change[]): void {
    const entry = (x: Tree) => (option?.kind === 'records' ? shortEntry(x, option) : x);
    const n = Math.min(a.length, b.length);
    const moved = b.slice(0, n).some((x, i) => !same(x, a[i]) && (a.some((y) => same(x, y)) || b.some((y) => same(a[i], y))));
    if (n > 0 && !moved) {
        const each: Option | undefined = option?.kind === 'records' ? { ...option, kind: 'group' } : undefined;
        for (let i = 0; i < n; i++) {
            if (same(a[i], b[i])) continue;
            if (each && isMap(raw[i])) collect(join(path, i), a[i], b[i], raw[i], each, out);
            else out.push({ path: join(path, i), value: entry(b[i] as Tree) });
        }
        for (let i = a.length - 1; i >= n; i--) out.push({ path: join(path, i), unset: true });
        for (const x of b.slice(n)) out.push({ path: `${path}[+]`, value: entry(x) });
        return;
    }
    const gone = b.length && b.length < a.length ? removals(a, b) : undefined;
    if (gone) gone.reverse().forEach((i) => out.push({ path: join(path, i), unset: true }));
    else out.push({ path, value: b.map(entry) });
}

function collect(path: string, a: Tree | undefined, b: Tree | undefined, raw: Tree | undefined, option: Option | undefined, out: Change[]): void {
    if (same(a, b)) return;
    if (b === undefined) {
        out.push({ path, unset: true });
        return;
    }
    if (Array.isArray(a) && Array.isArray(b) && a.length && Array.isArray(raw)) return listChanges(path, a, b, raw, option, out);
    const open = option && (option.kind === 'group' || option.kind === 'map');
    const filled = isMap(a) && Object.keys(a).length > 0;
    const inside = isMap(b) && (filled || (open && (isMap(a) || a === undefined || a === null) && Object.keys(b).length > 0));
    if (!inside) {
        out.push({ path, value: short(b, option) });
        return;
    }
    const before = isMap(a) ? a : {};
    const written = isMap(raw) ? raw : {};
    const child = (name: string): Option | undefined =>
        option?.kind === 'map' ? { ...option, kind: 'group' } : option && childOf(option, name);
    for (const name of Object.keys(before)) if (!(name in b)) out.push({ path: join(path, name), unset: true });
    for (const name of Object.keys(b)) collect(join(path, name), before[name], b[name], written[name], child(name), out);
}

/** raw: `before` as it came, with its short forms. */
export function changesBetween(before: Tree, after: Tree, raw: Tree, root: Option): Change[] {
    const out: Change[] = [];
    collect('', before, after, raw, root, out);
    return out;
}
