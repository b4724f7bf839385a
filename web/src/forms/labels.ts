// SPDX-License-Identifier: Apache-2.0
// What options are called and what they are for: in English from the schema, in other languages from lang/options/LANGUAGE.json
// ("queue.lifetime": ["name", "help"]; "~comment": of every option of that name; "=nobody": ["what a default is called"]), and where that has
// nothing, in English.
import { useEffect, useState } from 'preact/hooks';
import { language as chosen, useLanguage } from '../i18n';
import type { Option } from './schema';

type Texts = Record<string, [string, string?]>;
const files = import.meta.glob<Texts>('../lang/options/*.json', { import: 'default' });
let texts: Texts = {};
let loaded = 'en';

/** Draws anew when the texts of the language are there. */
export function useLabels(): void {
    const language = useLanguage();
    const [, turn] = useState(0);
    useEffect(() => {
        if (language === loaded) return;
        const load = files[`../lang/options/${language}.json`];
        void (load ? load() : Promise.resolve({})).then((all) => {
            if (language !== chosen()) return; /* another one was chosen meanwhile */
            texts = all;
            loaded = language;
            turn((n) => n + 1);
        }, () => undefined);
    }, [language]);
}

/** "domains[2].deliver" -> "domains[].deliver"; names of zones and tables become an asterisk. */
function general(path: string): string {
    return path.replace(/\[[0-9+]*\]/g, '[]').replace(/^(zones|tables)\.[^.]+/, '$1.*');
}

function find(path: string, name: string): [string, string?] | undefined {
    return texts[general(path)] ?? texts[`~${name}`];
}

const ABBREVIATIONS = /^(dns|dnssec|tls|arc|dkim|dmarc|spf|srs|dsn|ldap|imap|url|uri|helo|ca|ip|mta|sts|ipv4|ipv6|macs|bcc|icap|dn|mx|id)$/;

/** "retry_first" -> "Retry first" */
export function labelOf(option: Option, path: string): string {
    const own = find(path, option.name)?.[0];
    if (own) return own;
    const words = option.name.split('_').map((w) => (ABBREVIATIONS.test(w) ? w.toUpperCase() : w)).join(' ');
    return words.charAt(0).toUpperCase() + words.slice(1);
}

export function helpOf(option: Option, path: string): string {
    return (find(path, option.name)?.[1] ?? option.help)?.replace(/`([^`]+)`/g, '“$1”');
}

/** What a default is called that is no plain value. */
export function shownOf(shown: string): string {
    return texts[`=${shown}`]?.[0] ?? shown;
}
