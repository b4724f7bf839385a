// SPDX-License-Identifier: Apache-2.0
// Texts by key, from src/lang/LANGUAGE.json; a further language is a further file there. check-lang.mjs checks the keys.
import type en from './lang/en.json';
import { watched } from './watched';

export type Key = keyof typeof en;
type Texts = Record<string, string>;

const files = import.meta.glob<Texts>('./lang/*.json', { import: 'default' });
/** ["de", "en"]. */
export const languages = Object.keys(files).map((f) => f.slice('./lang/'.length, -'.json'.length));

let texts: Texts = {};
let current = 'en', wanted = current;
const changed = watched();

/** What the browser wants, of what there is. */
export function preferredLanguage(): string {
    const stored = localStorage.getItem('language');
    const wanted = [...(stored ? [stored] : []), ...navigator.languages].map((l) => l.slice(0, 2));
    return wanted.find((l) => languages.includes(l)) ?? 'en';
}

export async function setLanguage(to: string): Promise<void> {
    if (!languages.includes(to)) to = preferredLanguage();
    wanted = to;
    const got = await files[`./lang/${to}.json`]();
    if (wanted !== to) return; /* another one was chosen meanwhile */
    texts = got;
    current = to;
    document.documentElement.lang = to;
    localStorage.setItem('language', to);
    changed.tell();
}

export const language = () => current;
/** How numbers and times are written: the day first and 24 hours, in English, too. */
export const locale = () => (current === 'en' ? 'en-GB' : current);

/** Draws the component anew when the language changes. */
export function useLanguage(): string {
    changed.use();
    return current;
}

/** "{n} message|{n} messages" with n: the part behind | unless n is 1. Numbers are written as the language does. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
    let text = texts[key] ?? key;
    const bar = text.indexOf('|');
    if (bar >= 0 && typeof values.n === 'number') text = values.n === 1 ? text.slice(0, bar) : text.slice(bar + 1);
    return text.replace(/\{(\w+)\}/g, (all, name: string) => {
        const v = values[name];
        return v === undefined ? all : typeof v === 'number' ? number(v) : v;
    });
}

/** Of a word from the relay: t(`outcome.${word}`) if there is such a key, else the word itself. */
export function tWord(prefix: string, word: string): string {
    return texts[`${prefix}.${word}`] ?? word;
}

export function number(n: number, digits = 0): string {
    return n.toLocaleString(locale(), { maximumFractionDigits: digits });
}

/** "Deutsch" for "de". */
export function languageName(code: string): string {
    const name = new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
    return name.charAt(0).toLocaleUpperCase(code) + name.slice(1);
}
