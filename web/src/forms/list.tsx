// SPDX-License-Identifier: Apache-2.0
// A list of plain values: one a line, so that many can be pasted at once; with a filter when it is long.
import { useState } from 'preact/hooks';
import { t } from '../i18n';
import { draft } from './draft';
import { say } from './field';
import type { ControlArgs } from './field';

const LONG = 12; // lines that are shown at once

function linesOf(text: string): string[] {
    return text.split(/\r?\n/).map((l) => l.trim()).filter((l) => l && !l.startsWith('#'));
}

/** "[10.20.30.0/24, 10.1.0.0/16]", as an example has it, as the lines one would type. */
export function plainEntries(text: string): string[] {
    const inner = /^\[(.*)\]$/.exec(text.trim());
    return (inner ? inner[1]!.split(/,\s*/) : [text]).map((x) => x.trim().replace(/^(["'])(.*)\1$/, '$2')).filter(Boolean);
}

export function ListField({ option, path, id, about, invalid, locked }: ControlArgs) {
    const value = draft.value(path);
    const entries = Array.isArray(value) ? value.map(String) : value === undefined || value === null ? [] : [String(value)];
    const [text, setText] = useState<string | null>(null); /* as it is typed; null: as the draft has it */
    const [filter, setFilter] = useState('');
    const usual = Array.isArray(option.fallback) ? option.fallback : [];
    const take = (typed: string) => {
        setText(typed);
        const lines = linesOf(typed);
        draft.set(path, lines.length ? lines : undefined);
    };
    const typed = text !== null && linesOf(text).join('\n') === entries.join('\n') ? text : entries.join('\n');
    const found = filter ? entries.filter((x) => x.toLowerCase().includes(filter.toLowerCase())) : [];
    const bad = option.pattern ? entries.filter((x) => !new RegExp(option.pattern!).test(x)) : [];
    const rows = Math.min(LONG, Math.max(2, typed.split('\n').length));
    return (
        <div class="list-field">
            {entries.length > LONG && (
                <input type="search" class="short" placeholder={t('form.search')} aria-label={t('form.search')} value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
            )}
            {filter ? <p class="option-note" role="status">{found.length ? say(found) : t('form.not_found')}</p> : (
                <textarea id={id} rows={rows} disabled={locked} spellcheck={false} autocomplete="off" aria-describedby={about} aria-invalid={invalid || bad.length > 0}
                    placeholder={usual.length ? usual.slice(0, 3).map(String).join('\n') : option.example ? plainEntries(option.example).join('\n') : t('form.one_a_line')} value={typed}
                    onInput={(e) => take(e.currentTarget.value)} onBlur={() => setText(null)} />
            )}
            <p class="option-note">
                {entries.length > 0 && <span>{t('form.entries', { n: entries.length })}</span>}
                {bad.length > 0 && <span class="wrong">{t('form.odd_entries', { x: bad.slice(0, 3).join(', ') })}</span>}
                {!entries.length && usual.length > 0 && !locked && <button type="button" class="link" onClick={() => draft.set(path, usual.map(String))}>{t('form.start_from_default')}</button>}
            </p>
        </div>
    );
}
