// SPDX-License-Identifier: Apache-2.0
// Every top-level option of the schema must have a place of its own on one page, and every place must be an option:
//   postern schema --json | node check-pages.mjs
// Also: names in src/lang/options/*.json must be options. Ends with 1 when something is without a place, has two, or is not there.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = join(dirname(fileURLToPath(import.meta.url)), 'src');
const schema = JSON.parse(readFileSync(0, 'utf8'));
const text = readFileSync(join(src, 'forms', 'pages.ts'), 'utf8');
const body = /export const places[^=]*= (\{[\s\S]*?\n\});/.exec(text)[1];
const places = Object.values(Object.assign(Object.create(null), JSON.parse(body.replace(/'/g, '"').replace(/(\w+):/g, '"$1":').replace(/,(\s*[}\]])/g, '$1'))))
    .flatMap((tabs) => Object.values(tabs).flat());
const bad = [];

function child(node, name) {
    const part = [node, node.items, ...(node.items?.anyOf ?? []), node.additionalProperties].find((x) => x?.properties?.[name]);
    return part?.properties[name];
}

/* "zones.*.trust", "domains[].deliver" */
const isOption = (path) => !!path.replace(/\[\]|\.\*/g, '').split('.').reduce((node, name) => node && child(node, name), schema);

for (const name of Object.keys(schema.properties)) if (!places.includes(name)) bad.push(`${name} has no place: it is shown among the others (src/forms/pages.ts)`);
for (const path of places) {
    if (!isOption(path)) bad.push(`${path} is no option (src/forms/pages.ts)`);
    if (places.filter((p) => p === path).length > 1) bad.push(`${path} has two places`);
}
for (const file of readdirSync(join(src, 'lang', 'options')))
    for (const path of Object.keys(JSON.parse(readFileSync(join(src, 'lang', 'options', file), 'utf8'))))
        if (!/^[~=]/.test(path) && !isOption(path)) bad.push(`${path} is no option (src/lang/options/${file})`);
for (const line of new Set(bad)) console.error(line);
process.exit(bad.length ? 1 : 0);
