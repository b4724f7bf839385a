// SPDX-License-Identifier: Apache-2.0
// Languages: every file in src/lang must have the keys of en.json, with the same placeholders, and each key must be used somewhere.
//   node check-lang.mjs               check; ends with 1 when something is missing, odd or unused
//   node check-lang.mjs add FILE      add or change keys from a file {"key": {"en": "...", "de": "..."}}, sorted
import { readFileSync, writeFileSync, readdirSync, renameSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = join(dirname(fileURLToPath(import.meta.url)), 'src');
const langs = readdirSync(join(src, 'lang')).filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -5));
const read = (lang) => JSON.parse(readFileSync(join(src, 'lang', `${lang}.json`), 'utf8'));

function add(file) {
    const more = JSON.parse(readFileSync(file, 'utf8'));
    for (const lang of langs) {
        const all = read(lang);
        for (const [key, texts] of Object.entries(more)) if (texts === null) delete all[key]; else if (texts[lang] !== undefined) all[key] = texts[lang];
        const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
        const to = join(src, 'lang', `${lang}.json`);
        writeFileSync(`${to}.new`, JSON.stringify(sorted, null, 1) + '\n');
        renameSync(`${to}.new`, to);
    }
}

function sources(dir) {
    return readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
        e.isDirectory() ? sources(join(dir, e.name)) : /\.tsx?$/.test(e.name) ? [readFileSync(join(dir, e.name), 'utf8')] : []);
}

/* Keys stand in quotes; `outcome.${x}` uses all that begin so. */
function check() {
    const bad = [], en = read('en'), text = sources(src).join('\n');
    const literal = new Set(text.match(/(['"`])[a-z0-9_]+(\.[A-Za-z0-9_-]+)+\1/g)?.map((s) => s.slice(1, -1)));
    const prefixes = [...text.matchAll(/`([a-z0-9_]+(?:\.[A-Za-z0-9_-]+)*\.)\$\{/g)].map((m) => m[1]);
    for (const m of text.matchAll(/\btWord\('([a-z0-9_]+)'/g)) prefixes.push(`${m[1]}.`);
    const holes = (s) => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).filter((v, i, a) => a.indexOf(v) === i).sort().join();
    for (const key of Object.keys(en))
        if (!literal.has(key) && !prefixes.some((p) => key.startsWith(p))) bad.push(`en.json: ${key} is not used`);
    for (const m of text.matchAll(/\bt\((['"`])([^'"`$]+)\1/g)) if (en[m[2]] === undefined) bad.push(`en.json: ${m[2]} is missing`);
    for (const lang of langs) {
        const all = read(lang);
        for (const key of Object.keys(en))
            if (all[key] === undefined) bad.push(`${lang}.json: ${key} is missing`);
            else if (holes(all[key]) !== holes(en[key])) bad.push(`${lang}.json: ${key} has other placeholders than en.json`);
        for (const key of Object.keys(all)) if (en[key] === undefined) bad.push(`${lang}.json: ${key} is not in en.json`);
    }
    for (const line of new Set(bad)) console.error(line);
    if (bad.length) process.exit(1);
}

if (process.argv[2] === 'add') add(process.argv[3]);
else check();
