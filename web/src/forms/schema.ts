// SPDX-License-Identifier: Apache-2.0
// The options of the configuration, read from the JSON Schema that the daemon serves: one tree that the forms are drawn from.

type Kind =
    | 'text' | 'secret' | 'bool' | 'number' | 'percent' | 'score' | 'size' | 'time' | 'enum'
    | 'set' | 'list' | 'records' | 'map' | 'group' | 'hop';
type Reference = 'zones' | 'tables' | 'listeners' | 'scanners';

export interface Option {
    name: string;
    kind: Kind;
    type: string;            // the schema's own word: "host", "path" ...; '' when it is not told
    help: string;
    fallback?: unknown;      // the default
    shown?: string;          // how the default is called when it is no plain value
    example?: string;
    min?: number;            // of numbers; bytes of sizes, milliseconds of times
    max?: number;
    words?: string[];        // of enums and sets
    pattern?: string;        // of texts, or of a list's entries
    required: boolean;
    options?: Option[];      // of groups, of a record, of a map's entries, of a next hop
    scalar?: string;         // of records: the option that an entry of a single value stands for
    choice?: string[];       // one and only one of these must be written
    refer?: Reference;
}

interface Node {
    [key: string]: unknown;
    type?: string | string[];
    properties?: Record<string, Node>;
    items?: Node;
    anyOf?: Node[];
    oneOf?: Node[];
    enum?: unknown[];
    required?: string[];
    description?: string;
}

const SCALARS = ['match', 'zone', 'line', 'kind', 'action'];
const KINDS: Record<string, Kind> = {
    secret: 'secret', bool: 'bool', number: 'number', port: 'number', percent: 'percent', score: 'score', size: 'size', time: 'time',
    enum: 'enum', set: 'set', list: 'list', sources: 'list', records: 'records', map: 'map', group: 'group', hop: 'hop',
};

function isObject(x: unknown): x is Record<string, unknown> {
    return typeof x === 'object' && x !== null && !Array.isArray(x);
}

function wordsOf(node: Node): string[] | undefined {
    const plain = node['x-words'];
    if (Array.isArray(plain) && plain.length)
        return (plain as { word: string; planned?: boolean; refused?: string }[]).filter((w) => !w.planned && !w.refused).map((w) => w.word);
    if (!node.enum) return undefined;
    return node.enum.filter((w): w is string => typeof w === 'string');
}

function isBool(node: Node): boolean {
    return !!node.enum && node.enum.includes(true) && node.enum.includes('yes');
}

function entryOf(node: Node): Node | undefined {
    if (node.type === 'array' && node.items) return node.items;
    for (const one of node.anyOf ?? []) if (one.type === 'array') return (one.items as Node) ?? {};
    return undefined;
}

// Records have entries with properties; a plain text may stand for one.
function recordOf(node: Node): Node | undefined {
    const entry = node.type === 'array' ? node.items : undefined;
    if (!entry) return undefined;
    if (entry.properties) return entry;
    return entry.anyOf?.find((x) => x.properties);
}

function kindOf(node: Node): Kind {
    const told = node['x-type'];
    if (typeof told === 'string' && KINDS[told]) {
        if (told !== 'bool' || isBool(node)) return KINDS[told] as Kind;
        return 'enum';
    }
    if (node.properties) return 'group';
    if (isObject(node.additionalProperties)) return 'map';
    if (recordOf(node)) return 'records';
    const parts = node.anyOf ?? [];
    if (parts.some((x) => x.$ref)) return 'hop';
    const entry = entryOf(node);
    if (entry) return entry.enum ? 'set' : 'list';
    if (parts.some((x) => x.const === 0)) return 'time';
    const pattern = String(parts.find((x) => x.pattern)?.pattern ?? '');
    if (pattern.includes('%')) return 'percent';
    if (pattern.includes('KMG')) return 'size';
    if (node.enum) return isBool(node) ? 'bool' : 'enum';
    if (node.type === 'integer') return 'number';
    if (node.type === 'number') return 'score';
    return 'text';
}

function referOf(name: string, path: string, type: string): Reference | undefined {
    if (type === 'zone' || path === 'listeners[].zone' || path === 'rules[].if.zones') return 'zones';
    if (type === 'listener' || path.endsWith('.intercept.listener')) return 'listeners';
    if (name === 'table' && path !== 'table') return 'tables';
    if (name === 'scanner' || name === 'scanners' && path !== 'scanners') return 'scanners';
    return undefined;
}

function bound(node: Node, own: string): number | undefined {
    const x = node[own] ?? node.anyOf?.find((p) => p[own] !== undefined)?.[own];
    return typeof x === 'number' ? x : undefined;
}

function readOption(name: string, node: Node, path: string, required: boolean, hop: Node | undefined): Option {
    const kind = kindOf(node);
    const type = String(node['x-item'] ?? node['x-type'] ?? '');
    const entry = kind === 'records' ? undefined : entryOf(node);
    const out: Option = { name, kind, type, help: node.description ?? '', required };
    if (node.default !== undefined) out.fallback = node.default;
    if (typeof node['x-default-text'] === 'string') out.shown = node['x-default-text'];
    if (Array.isArray(node.examples) && node.examples.length) out.example = String(node.examples[0]);
    out.words = wordsOf(node) ?? (entry && wordsOf(entry));
    out.pattern = (entry?.pattern ?? node.pattern) as string | undefined;
    out.min = bound(node, 'minimum');
    out.max = bound(node, 'maximum');
    out.refer = referOf(name, path, type);
    if (kind === 'group') fill(out, node, path, hop);
    if (kind === 'records') fill(out, recordOf(node) ?? {}, `${path}[]`, hop);
    if (kind === 'map') fill(out, node.additionalProperties as Node, `${path}.*`, hop);
    if (kind === 'hop' && hop) fill(out, hop, `${path}.`, undefined);
    if (kind === 'records' && node.items?.anyOf && !node.items.properties) {
        const names = out.options!.map((o) => o.name);
        out.scalar = String(node['x-scalar'] ?? SCALARS.find((s) => names.includes(s)) ?? names[0]);
    }
    return out;
}

function fill(out: Option, node: Node, path: string, hop: Node | undefined): void {
    const required = node.required ?? [];
    out.options = Object.entries(node.properties ?? {}).sort(([, a], [, b]) => Number(a['x-place'] ?? 0) - Number(b['x-place'] ?? 0)).map(([name, child]) =>
        readOption(name, child, path ? `${path.replace(/\.$/, '')}.${name}` : name, required.includes(name), hop));
    const one = node.oneOf?.map((x) => x.required?.[0]).filter((x): x is string => !!x);
    if (one?.length) out.choice = one;
}

// The whole tree: a group without a name.
export function readSchema(schema: unknown): Option {
    const root = schema as Node;
    const hop = (root.$defs as Record<string, Node> | undefined)?.hop;
    const out: Option = { name: '', kind: 'group', type: 'group', help: '', required: false };
    fill(out, root, '', hop);
    return out;
}

export function childOf(option: Option, name: string): Option | undefined {
    return option.options?.find((o) => o.name === name);
}

// "queue.retry_first", "domains[2].deliver", "zones.lan.trust" -> the option; undefined: there is none.
export function optionAt(root: Option, path: string): Option | undefined {
    let at: Option | undefined = root;
    for (const step of path.replace(/\[[0-9+]*\]/g, '').split('.')) {
        if (!at) return undefined;
        if (at.kind === 'map' && at !== root && !childOf(at, step)) continue;
        at = childOf(at, step);
    }
    return at;
}

