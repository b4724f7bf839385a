// SPDX-License-Identifier: Apache-2.0
// Filters of a list, kept in the page's address: what is typed counts a moment later.
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import type { PageProps } from '../pages';
import type { Query } from '../router';
import { Field } from './fields';

export interface FilterField {
    id: string;
    label: string;
    /** [value, what is shown]; the first is for "any". */
    words?: [string, string][];
    /** time: ms since 1970 in the address. */
    type?: 'text' | 'number' | 'time';
    hint?: string;
    /** "/" goes here. */
    search?: boolean;
    /** Only under "more". */
    more?: boolean;
}

function toLocal(ms: string): string {
    if (!ms) return '';
    const d = new Date(Number(ms));
    return new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export function Filters({
    fields,
    query,
    go,
}: {
    fields: FilterField[];
    query: Record<string, string>;
    go: PageProps['go'];
}) {
    const [draft, setDraft] = useState(query),
        timer = useRef<ReturnType<typeof setTimeout>>();
    const text = JSON.stringify(query);
    useEffect(() => setDraft(query), [text]);
    const stop = () => clearTimeout(timer.current);
    useEffect(() => stop, []);
    const follow = (next: Query) => {
        stop(); /* what was typed before is in it, or is not wanted */
        go([], next, true);
    };
    const set = (id: string, value: string, soon: boolean) => {
        const next = { ...draft, [id]: value };
        setDraft(next);
        stop();
        timer.current = setTimeout(() => go([], next, true), soon ? 0 : 350);
    };
    const any = fields.some((f) => query[f.id]),
        later = fields.filter((f) => f.more);
    const draw = (f: FilterField) => (
        <Field label={f.label} key={f.id}>
            {(p) =>
                f.words ? (
                    <select {...p} value={draft[f.id] ?? ''} onInput={(e) => set(f.id, e.currentTarget.value, true)}>
                        {f.words.map(([v, w]) => (
                            <option value={v} key={v}>
                                {w}
                            </option>
                        ))}
                    </select>
                ) : f.type === 'time' ? (
                    <input
                        {...p}
                        type="datetime-local"
                        value={toLocal(draft[f.id] ?? '')}
                        onInput={(e) => set(f.id, e.currentTarget.value ? String(new Date(e.currentTarget.value).getTime()) : '', false)}
                    />
                ) : (
                    <input
                        {...p}
                        type={f.type === 'number' ? 'number' : 'search'}
                        step="any"
                        placeholder={f.hint}
                        data-search={f.search || undefined}
                        autocomplete="off"
                        spellcheck={false}
                        value={draft[f.id] ?? ''}
                        onInput={(e) => set(f.id, e.currentTarget.value, false)}
                    />
                )
            }
        </Field>
    );
    return (
        <form
            class="panel"
            role="search"
            onSubmit={(e) => {
                e.preventDefault();
                follow(draft);
            }}
        >
            <div class="body">
                <div class="filters">
                    {fields.filter((f) => !f.more).map(draw)}
                    {any && (
                        <button type="button" class="plain" onClick={() => follow({})}>
                            {t('filter.clear')}
                        </button>
                    )}
                </div>
                {later.length > 0 && (
                    <details open={later.some((f) => query[f.id])}>
                        <summary>{t('filter.more')}</summary>
                        <div class="filters">{later.map(draw)}</div>
                    </details>
                )}
                <input type="submit" hidden />
            </div>
        </form>
    );
}
