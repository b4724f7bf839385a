// SPDX-License-Identifier: Apache-2.0
// Trees of values as the configuration has them, paths into them, and changes of them.

export type Tree = null | boolean | number | string | Tree[] | { [name: string]: Tree };
export type Step = string | number;
export interface Change {
    path: string;
    value?: Tree;
    unset?: true;
}

export function isMap(x: Tree | undefined): x is { [name: string]: Tree } {
    return typeof x === 'object' && x !== null && !Array.isArray(x);
}

/** As the configuration sees it: 25 and "25" are the same. */
export function same(a: Tree | undefined, b: Tree | undefined): boolean {
    if (a === b) return true;
    if (a === undefined || b === undefined || a === null || b === null) return false;
    if (typeof a !== 'object' && typeof b !== 'object') return String(a) === String(b);
    if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((x, i) => same(x, b[i]));
    if (!isMap(a) || !isMap(b)) return false;
    const names = Object.keys(a);
    return names.length === Object.keys(b).length && names.every((n) => n in b && same(a[n], b[n]));
}

export function join(path: string, step: Step): string {
    if (typeof step === 'number') return `${path}[${step}]`;
    return path ? `${path}.${step}` : step;
}

// "domains[2].deliver" -> ["domains", 2, "deliver"]; "[+]" is -1, behind the last.
export function steps(path: string): Step[] {
    const out: Step[] = [];
    for (const part of path.split('.')) {
        const name = part.replace(/\[.*$/, '');
        if (name) out.push(name);
        for (const index of part.matchAll(/\[(\+|[0-9]+)\]/g)) out.push(index[1] === '+' ? -1 : Number(index[1]));
    }
    return out;
}

export function valueAt(tree: Tree | undefined, path: string): Tree | undefined {
    let at = tree;
    for (const step of steps(path)) {
        if (typeof step === 'number') at = Array.isArray(at) ? at[step] : undefined;
        else at = isMap(at) && Object.prototype.hasOwnProperty.call(at, step) ? at[step] : undefined;
    }
    return at;
}

// A copy of the tree with the value at the path; undefined takes it away.
export function withValue(tree: Tree | undefined, path: string | Step[], value: Tree | undefined): Tree | undefined {
    const way = typeof path === 'string' ? steps(path) : path;
    if (!way.length) return value;
    const [step, ...rest] = way as [Step, ...Step[]];
    if (typeof step === 'number') {
        const list = Array.isArray(tree) ? tree.slice() : [];
        const index = step < 0 ? list.length : step;
        const child = withValue(list[index], rest, value);
        if (child === undefined && !rest.length) list.splice(index, 1);
        else list[index] = child === undefined ? {} : child;
        return list;
    }
    const map = isMap(tree) ? { ...tree } : {};
    if (value === undefined && map[step] === undefined) return map;
    const child = withValue(map[step], rest, value);
    if (child === undefined) delete map[step];
    else map[step] = child;
    return map;
}

export function applyChanges(tree: Tree, changes: Change[]): Tree {
    let out: Tree = tree;
    for (const c of changes) out = withValue(out, c.path, c.unset ? undefined : c.value) ?? {};
    return out;
}
