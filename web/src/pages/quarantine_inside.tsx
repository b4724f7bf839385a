// SPDX-License-Identifier: Apache-2.0
// What was found in a message that is kept apart, and what it holds: all of it text.
import type { ComponentChildren } from 'preact';
import { useGet, segment } from '../api';
import { Badge, Busy, Failed, Panel, Size } from '../components';
import { number, t, tWord } from '../i18n';
import { Checks } from './mail';
import type { CheckEntry } from './mail';
import type { Entry } from './quarantine';

interface Part {
    name?: string;
    declared?: string;
    type?: string;
    size?: number;
    findings?: string[];
    blocked?: string;
}
export interface Findings {
    class?: string;
    viruses?: { name: string; part?: string; scanner?: string }[];
    parts?: Part[];
    symbols?: { name: string; score?: number; text?: string; engine?: string }[];
    actions?: { by?: string; name?: string; line?: number; action?: string; address?: string; text?: string }[];
    scanners?: { name: string; state: string; text?: string }[];
}
export interface Details extends Entry {
    helo?: string;
    zone?: string;
    account?: string;
    headers?: [string, string][];
    findings?: Findings;
    trace?: CheckEntry[];
    error?: string;
}
interface View {
    text?: string;
    headers?: [string, string][];
    parts?: Part[];
    links?: Link[];
}

export function Headers({ of }: { of: [string, string][] }) {
    return (
        <dl class="facts mono small">
            {of.map(([k, v]) => (
                <>
                    <dt>{k}</dt>
                    <dd>{v}</dd>
                </>
            ))}
        </dl>
    );
}

function PartTable({ of }: { of: Part[] }) {
    if (!of.length) return <p class="dim">{t('common.empty')}</p>;
    return (
        <div class="table-box">
            <table aria-label={t('quarantine.parts')}>
                <thead>
                    <tr>
                        <th>{t('quarantine.part_name')}</th>
                        <th>{t('quarantine.part_type')}</th>
                        <th>{t('quarantine.part_findings')}</th>
                        <th class="num">{t('queue.size')}</th>
                    </tr>
                </thead>
                <tbody>
                    {of.map((p, i) => (
                        <tr key={i}>
                            <td>{p.name || '–'}</td>
                            <td>{p.type || p.declared}</td>
                            <td>
                                {p.findings?.join(', ')}
                                {p.blocked && (
                                    <>
                                        {' '}
                                        <Badge tone="bad">{p.blocked}</Badge>
                                    </>
                                )}
                            </td>
                            <td class="num">
                                <Size bytes={p.size} />
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

/** What there is of one kind; nothing without any. */
function Several<T>({ title, of, line }: { title: string; of?: T[]; line: (one: T) => ComponentChildren }) {
    if (!of?.length) return null;
    return (
        <Panel title={title}>
            <ul class="plain">
                {of.map((one, i) => (
                    <li key={i}>{line(one)}</li>
                ))}
            </ul>
        </Panel>
    );
}

function Symbols({ of }: { of: NonNullable<Findings['symbols']> }) {
    const weight = (s: { score?: number }) => Math.abs(s.score ?? 0);
    return (
        <Panel title={t('quarantine.symbols')} flush>
            <div class="table-box">
                <table aria-label={t('quarantine.symbols')}>
                    <thead>
                        <tr>
                            <th class="num tight">{t('quarantine.score')}</th>
                            <th>{t('quarantine.symbol')}</th>
                            <th>{t('queue.reason')}</th>
                        </tr>
                    </thead>
                    <tbody>
                        {[...of]
                            .sort((a, b) => weight(b) - weight(a))
                            .map((s, i) => (
                                <tr key={i}>
                                    <td class="num">{s.score === undefined ? '' : number(s.score, 2)}</td>
                                    <td class="mono small">{s.name}</td>
                                    <td>
                                        {s.text} {s.engine && <span class="dim">{s.engine}</span>}
                                    </td>
                                </tr>
                            ))}
                    </tbody>
                </table>
            </div>
        </Panel>
    );
}

/** What was found in a message; without anything nothing is shown. */
export function Found({ f }: { f: Findings }) {
    return (
        <div class="stack">
            <Several title={t('quarantine.viruses')} of={f.viruses} line={(v) => (
                <>
                    <Badge tone="bad">{v.name}</Badge> {v.part && t('quarantine.in_part', { part: v.part })} <span class="dim">{v.scanner}</span>
                </>
            )} />
            {!!f.parts?.length && (
                <Panel title={t('quarantine.parts')} flush>
                    <PartTable of={f.parts} />
                </Panel>
            )}
            {!!f.symbols?.length && <Symbols of={f.symbols} />}
            <Several title={t('quarantine.actions')} of={f.actions} line={(a) => (
                <>
                    {a.by} <b>{a.name}</b> {a.action} {a.address} {a.text}
                </>
            )} />
            <Several title={t('quarantine.scanners')} of={f.scanners} line={(s) => (
                <>
                    <Badge tone={s.state === 'fine' || s.state === 'not-asked' ? '' : 'bad'}>{tWord('scanner_state', s.state)}</Badge> {s.name} <span class="dim">{s.text}</span>
                </>
            )} />
        </div>
    );
}

export function Why({ m }: { m: Details }) {
    return (
        <div class="stack">
            <Found f={m.findings ?? {}} />
            <Panel title={t('checks.title')}>
                <Checks of={m.trace ?? []} />
            </Panel>
        </div>
    );
}

export function MessageText({ text }: { text?: string }) {
    return (
        <Panel label={t('quarantine.text')}>
            {text?.trim() ? (
                <pre class="message-text" tabIndex={0}>
                    {text}
                </pre>
            ) : (
                <p class="dim">{t('quarantine.no_text')}</p>
            )}
        </Panel>
    );
}

export interface Link {
    url: string;
    host?: string;
    shown?: string;
}

export function Links({ of }: { of?: Link[] }) {
    return (
        <Panel title={t('quarantine.links')}>
            {of?.length ? (
                <ul class="plain links">
                    {of.map((l, i) => (
                        <li key={i}>
                            <code class="wrap">{l.url}</code>
                            {l.shown && l.shown !== l.url && <div class="dim small">{t('quarantine.shown_as', { text: l.shown })}</div>}
                        </li>
                    ))}
                </ul>
            ) : (
                <p class="dim">{t('common.empty')}</p>
            )}
        </Panel>
    );
}

/** Read by a process that can do no harm; here it is only text. */
export function Inside({ id, what }: { id: string; what: 'text' | 'parts' }) {
    const got = useGet<{ view: View }>(`/v1/quarantine/${segment(id)}/view`);
    if (got.error) return <Failed error={got.error} retry={got.reload} />;
    if (!got.data) return <Busy />;
    const v = got.data.view;
    if (what === 'text') return <MessageText text={v.text} />;
    return (
        <div class="stack">
            <Panel title={t('quarantine.parts')} flush>
                <PartTable of={v.parts ?? []} />
            </Panel>
            <Links of={v.links} />
        </div>
    );
}
