// SPDX-License-Identifier: Apache-2.0
// The forms' own rules, tried on the schema: what is sent for a change, sizes and times, paths, differences.
//   postern schema --json | node check-forms.mjs
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const src = join(dirname(fileURLToPath(import.meta.url)), 'src', 'forms');
const entry = ['schema', 'tree', 'changes', 'units', 'linediff', 'pages'].map((f) => `export * from './${f}';`).join('\n');
const made = await build({ stdin: { contents: entry, resolveDir: src, loader: 'ts' }, bundle: true, format: 'esm', write: false });
const m = await import(`data:text/javascript;base64,${Buffer.from(made.outputFiles[0].text).toString('base64')}`);
const root = m.readSchema(JSON.parse(readFileSync(0, 'utf8')));

function changes(raw, change) {
    const before = m.normal(raw, root);
    return m.changesBetween(before, change(before), raw, root);
}
const set = (path, value) => (tree) => m.withValue(tree, path, value);
const all = (...steps) => (tree) => steps.reduce((t, f) => f(t), tree);
const raw = {
    limits: { hops: '60' }, domains: [{ name: 'a.example', deliver: '10.0.0.1' }, { name: 'b.example' }], zones: { lan: { networks: '10.0.0.0/8' } },
    checks: { block: { senders: ['x.example', { match: 'y.example', comment: 'old' }] } },
};

/* what is sent */
assert.deepEqual(changes(raw, (t) => t), []);
assert.deepEqual(changes(raw, set('limits.hops', 60)), []);
assert.deepEqual(changes(raw, set('queue.lifetime', '3d')), [{ path: 'queue.lifetime', value: '3d' }]);
assert.deepEqual(changes(raw, set('limits.hops', undefined)), [{ path: 'limits.hops', unset: true }]);
assert.deepEqual(changes(raw, set('domains[1].deliver', '10.0.0.2')), [{ path: 'domains[1].deliver', value: '10.0.0.2' }]);
assert.deepEqual(changes(raw, set('domains[2]', { name: 'c.example' })), [{ path: 'domains[+]', value: { name: 'c.example' } }]);
assert.deepEqual(changes(raw, set('domains[0]', undefined)), [{ path: 'domains[0]', unset: true }]);
assert.deepEqual(changes(raw, all(set('domains[0].name', 'z.example'), set('domains[2]', { name: 'c.example' }))),
    [{ path: 'domains[0].name', value: 'z.example' }, { path: 'domains[+]', value: { name: 'c.example' } }]);
assert.deepEqual(changes(raw, (t) => ({ ...t, domains: [t.domains[1], t.domains[0]] })), [{ path: 'domains', value: [raw.domains[1], raw.domains[0]] }]);
const senders = 'checks.block.senders';
assert.deepEqual(changes(raw, set(`${senders}[0].match`, 'w.example')), [{ path: `${senders}[0]`, value: 'w.example' }]);
assert.deepEqual(changes(raw, set(`${senders}[0].comment`, 'why')), [{ path: `${senders}[0]`, value: { match: 'x.example', comment: 'why' } }]);
assert.deepEqual(changes(raw, set(`${senders}[1].comment`, 'new')), [{ path: `${senders}[1].comment`, value: 'new' }]);
assert.deepEqual(changes(raw, set('zones.lan.networks', ['10.0.0.0/8', '10.1.0.0/16'])), [{ path: 'zones.lan.networks', value: ['10.0.0.0/8', '10.1.0.0/16'] }]);
assert.deepEqual(changes(raw, set('zones.new', {})), [{ path: 'zones.new', value: {} }]);
/* and leads to the same tree */
const after = all(set('limits.hops', 70), set(`${senders}[2]`, { match: 'v.example' }), set('domains[0]', undefined))(m.normal(raw, root));
assert.deepEqual(m.normal(m.applyChanges(raw, m.changesBetween(m.normal(raw, root), after, raw, root)), root), after);

/* options */
assert.equal(m.optionAt(root, 'zones.lan.trust').kind, 'enum');
assert.equal(m.optionAt(root, 'domains[3].deliver').kind, 'hop');
assert.equal(m.optionAt(root, 'queue.lifetime').kind, 'time');
assert.equal(m.optionAt(root, 'limits.message_size').kind, 'size');
assert.equal(m.optionAt(root, 'greylist'), undefined);
assert.deepEqual(m.placeOf('checks.dns_lists.lists[2].zone'), ['policy', 'dnslists']);
assert.deepEqual(m.placeOf('checks.helo.required'), ['policy', 'checks']);

/* sizes, times, differences */
assert.equal(m.parseSize('30M'), 30 * 1024 * 1024);
assert.ok(Number.isNaN(m.parseSize('3x')));
assert.equal(m.parseTime('1h 30m'), 5400000);
assert.ok(Number.isNaN(m.parseTime('5')));
assert.equal(m.sayTime(5400000, 'en'), '1 hour 30 minutes');
assert.equal(m.lineDiff('a\nb\nc', 'a\nB\nc'), '@@ 1 @@\n a\n-b\n+B\n c');
assert.equal(m.lineDiff('a\nb', 'a\nb'), '');
