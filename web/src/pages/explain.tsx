// SPDX-License-Identifier: Apache-2.0
// What would become of a mail: a form, and the way it would go as a picture. Nothing is sent.
import { useState } from 'preact/hooks';
import { post } from '../api';
import { Action, Badge, Failed, Field, FileField, Icon, MESSAGE_FILES, Note, Outcome, PageHead, Panel, Tabs, TextField, pressPrimary, useAsking } from '../components';
import { hopName } from '../format';
import { number, t, tWord } from '../i18n';
import type { PageProps } from '../pages';
import { Checks, ConfigLine, quiet, stages } from './mail';
import type { CheckEntry } from './mail';
import { ScanForm } from './scan';

interface Way {
    recipient?: string;
    forwarded?: boolean;
    next_hop?: string;
    route?: string;
    line?: number;
    source4?: string;
    source6?: string;
    source_line?: number;
    sender?: string;
    error?: string;
    copy_line?: number;
}
interface Verdict {
    recipient: string;
    outcome: string;
    code?: number;
    status?: string;
    text?: string;
    check?: string;
    why?: string;
    line?: number;
    rewriting?: { status?: string; steps?: string; line?: number };
    to?: Way[];
    more?: number;
}
interface Content {
    edits?: number;
    fields?: string[];
    redirect?: string;
    copies?: string[];
    removed?: string[];
    notices?: { to: string }[];
    [more: string]: unknown;
}
interface Answer {
    zone: string;
    trusted: boolean;
    recipients: Verdict[];
    copies?: Way[];
    score?: number;
    trace?: CheckEntry[];
    checks?: CheckEntry[];
    content?: Content;
}
/** What was asked, as the answer shows it. */
interface Asked {
    client: string;
    helo: string;
    from: string;
    /** Was there a message? */
    text: boolean;
}

const MESSAGE_MAX = 700000; /* bytes: what goes to the relay in one piece */

/** A message in Base64: of a file as it is, of a text with lines that end in CRLF. */
async function base64(message: Blob): Promise<string> {
    if (message.size > MESSAGE_MAX) throw new Error(t('explain.too_large', { n: MESSAGE_MAX / 1000 }));
    let bytes = '';
    for (const b of new Uint8Array(await message.arrayBuffer())) bytes += String.fromCharCode(b);
    return btoa(bytes);
}

export default function Explain(props: PageProps) {
    const { rest, go } = props,
        at = rest[0] === 'message' ? 'message' : 'mail';
    return (
        <>
            <PageHead title={t('nav.explain')} help={t(at === 'mail' ? 'explain.help' : 'scan.help')} />
            <Tabs
                label={t('nav.explain')}
                at={at}
                onSelect={(x) => go(x === 'mail' ? [] : [x])}
                tabs={[
                    ['mail', t('explain.tab')],
                    ['message', t('scan.tab')],
                ]}
            />
            {at === 'mail' ? <Mail {...props} /> : <ScanForm />}
        </>
    );
}

function Mail({ query, go }: PageProps) {
    const [form, setForm] = useState({
        client: query.client ?? '',
        helo: query.helo ?? '',
        from: query.from ?? '',
        to: query.to ?? '',
        account: query.account ?? '',
    });
    const [text, setText] = useState(''),
        [file, setFile] = useState<File | null>(null);
    const { answer, error, ask } = useAsking<{ of: Asked; said: Answer }>();
    const set = (key: keyof typeof form) => (v: string) => setForm((f) => ({ ...f, [key]: v }));
    const run = () => {
        go([], form, true);
        return ask(async () => {
            const message = file ?? (text.trim() ? new Blob([text.replace(/\r?\n/g, '\r\n')]) : undefined);
            const said = await post<Answer>('/v1/explain', {
                client: form.client.trim(),
                helo: form.helo.trim(),
                from: form.from.trim(),
                account: form.account.trim(),
                to: form.to.split(/[\s,;]+/).filter(Boolean),
                ...(message ? { message: await base64(message) } : {}),
            });
            return { of: { ...form, text: !!message }, said };
        });
    };
    return (
        <>
            <div class="stack">
                <form class="panel" onSubmit={pressPrimary}>
                    <div class="body stack">
                        <div class="grid narrow">
                            <TextField
                                label={t('explain.client')}
                                help={t('explain.client_help')}
                                value={form.client}
                                onInput={set('client')}
                                data-search
                                placeholder="192.0.2.7"
                            />
                            <TextField label={t('explain.helo')} value={form.helo} onInput={set('helo')} placeholder="mail.example.net" />
                            <TextField
                                label={t('explain.from')}
                                help={t('explain.from_help')}
                                value={form.from}
                                onInput={set('from')}
                                placeholder="ann@example.net"
                            />
                            <TextField
                                label={t('explain.to')}
                                help={t('explain.to_help')}
                                value={form.to}
                                onInput={set('to')}
                                placeholder="bob@example.com"
                            />
                            <TextField
                                label={t('explain.account')}
                                help={t('explain.account_help')}
                                value={form.account}
                                onInput={set('account')}
                            />
                        </div>
                        <details>
                            <summary>{t('explain.message')}</summary>
                            <div class="stack explain-message">
                                <Field label={t('explain.text')} help={t('explain.text_help')}>
                                    {(p) => (
                                        <textarea
                                            {...p}
                                            rows={7}
                                            spellcheck={false}
                                            value={text}
                                            disabled={!!file}
                                            onInput={(e) => setText(e.currentTarget.value)}
                                        />
                                    )}
                                </Field>
                                <FileField label={t('explain.file')} accept={MESSAGE_FILES} onInput={setFile} />
                            </div>
                        </details>
                        <div>
                            <Action class="primary" run={run} disabled={!form.client.trim() || !form.to.trim()}>
                                {t('explain.run')}
                            </Action>
                        </div>
                        <input type="submit" hidden />
                    </div>
                </form>
                {error !== undefined && <Failed error={error} />}
                {answer && <Result a={answer.said} of={answer.of} />}
            </div>
        </>
    );
}

function Result({ a, of }: { a: Answer; of: Asked }) {
    const checks = a.checks ?? a.trace ?? [];
    return (
        <div class="stack" aria-live="polite">
            {a.recipients.map((r) => (
                <Panel
                    key={r.recipient}
                    title={
                        <>
                            {r.recipient} <Outcome word={r.outcome} />
                        </>
                    }
                >
                    <Path
                        a={a}
                        r={r}
                        of={of}
                        checks={checks.filter((c) => !c.recipient || c.recipient.toLowerCase() === r.recipient.toLowerCase())}
                    />
                </Panel>
            ))}
            {!!a.copies?.length && (
                <Panel title={t('tracking.copies')}>
                    {a.copies.map((w, i) => (
                        <WayText key={i} w={w} />
                    ))}
                </Panel>
            )}
            {a.content && Object.keys(a.content).length > 0 && (
                <Panel title={t('explain.content')}>
                    <ContentText c={a.content} />
                </Panel>
            )}
            <Panel title={t('checks.title')}>
                {a.score ? <p>{t('explain.score', { n: number(a.score / 100, 2) })}</p> : null}
                <Checks of={checks} />
            </Panel>
        </div>
    );
}

const bad: Record<string, string> = { reject: 'bad', discard: 'bad', defer: 'warn', quarantine: 'held', hold: 'held' };

/** From the client, stage by stage, to where it ends. */
function Path({ a, r, of, checks }: { a: Answer; r: Verdict; of: Asked; checks: CheckEntry[] }) {
    const passed = stages.filter((s) => checks.some((c) => c.stage === s));
    const ended = passed.find((s) => checks.some((c) => c.stage === s && c.check === r.check && bad[c.outcome]));
    const shown = ended ? passed.slice(0, passed.indexOf(ended) + 1) : passed;
    const end = bad[r.outcome];
    return (
        <ol class="path">
            <li class="node">
                <Icon name="account" />
                <div>
                    <b>{of.client}</b>
                    <div class="dim small">{of.helo}</div>
                    <div class="dim small">{of.from || '<>'}</div>
                    <Badge tone={a.trusted ? 'ok' : ''}>{t(a.trusted ? 'explain.trusted' : 'explain.stranger')}</Badge>{' '}
                    <span class="dim small">{t('explain.zone', { zone: a.zone })}</span>
                </div>
            </li>
            {shown.map((s) => {
                const here = checks.filter((c) => c.stage === s),
                    told = here.filter((c) => !quiet.has(c.outcome)),
                    worst = told.find((c) => bad[c.outcome]),
                    unseen = s === 'content' && !of.text,
                    open = unseen || here.every((c) => c.outcome === 'skip');
                return (
                    <li class={`node ${worst ? bad[worst.outcome] : open ? '' : 'ok'}`} key={s}>
                        <Icon name={worst ? 'warning' : open ? 'explain' : 'check'} />
                        <div>
                            <b>{tWord('stage', s)}</b>
                            <div class="dim small">{unseen ? t('explain.unseen') : t('explain.checks', { n: here.length })}</div>
                            {told.map((c, i) => (
                                <div class="small" key={i}>
                                    <b>{c.check}</b> <Outcome word={c.outcome} /> {c.reason ?? c.why}
                                </div>
                            ))}
                        </div>
                    </li>
                );
            })}
            <li class={`node ${end ?? 'ok'}`}>
                <Icon name={end ? 'close' : 'check'} />
                <div>
                    <div>
                        <Outcome word={r.outcome} />{' '}
                        {r.code && (
                            <span class="mono small">
                                {r.code} {r.status}
                            </span>
                        )}
                    </div>
                    {r.text && <div class="small">{r.text}</div>}
                    {r.check && (
                        <div class="small dim">
                            {t('explain.decided', { check: r.check })} <ConfigLine line={r.line} />
                        </div>
                    )}
                    {r.why && <div class="small">{r.why}</div>}
                    {r.rewriting?.steps && (
                        <div class="small">
                            {t('explain.rewritten')} {r.rewriting.steps}
                        </div>
                    )}
                    {r.to?.map((w, i) => <WayText key={i} w={w} />)}
                    {r.more ? <div class="dim small">{t('mail.and_more', { n: r.more })}</div> : null}
                </div>
            </li>
        </ol>
    );
}

function WayText({ w }: { w: Way }) {
    if (w.error)
        return (
            <Note tone="warn">
                {w.recipient} {w.error}
            </Note>
        );
    return (
        <div class="small way">
            <div>
                → <b>{w.recipient}</b>
            </div>
            {w.next_hop && (
                <div>
                    {t('explain.next_hop', { hop: hopName(w.next_hop), route: w.route ?? '' })} <ConfigLine line={w.line} />
                </div>
            )}
            {(w.source4 || w.source6) && (
                <div>
                    {t('explain.source', { source: [w.source4, w.source6].filter(Boolean).join(', ') })} <ConfigLine line={w.source_line} />
                </div>
            )}
            {w.sender && <div>{t('explain.sender_becomes', { sender: w.sender })}</div>}
            {w.forwarded && !w.sender && <div>{t('explain.forwarded')}</div>}
            {w.copy_line && (
                <div>
                    <ConfigLine line={w.copy_line} />
                </div>
            )}
        </div>
    );
}

/** A field's further lines belong to its first: none of these begins with a name. */
function unfolded(lines?: string[]): string[] | undefined {
    return lines?.reduce<string[]>((all, one) => {
        if (all.length && !/^[!-9;-~]+:/.test(one)) all[all.length - 1] += ` ${one.trim()}`;
        else all.push(one);
        return all;
    }, []);
}

function ContentText({ c }: { c: Content }) {
    const line = (what: string, list?: string[]) =>
        list?.map((v, i) => (
            <li key={what + i}>
                {what} <span class="mono small">{v}</span>
            </li>
        ));
    return (
        <ul>
            {c.edits ? <li>{t('explain.edits', { n: c.edits })}</li> : null}
            {line(t('explain.field'), unfolded(c.fields))}
            {c.redirect && <li>{t('explain.redirect', { to: c.redirect })}</li>}
            {line(t('explain.copy_to'), c.copies)}
            {line(t('explain.not_to'), c.removed)}
            {line(
                t('explain.notice_to'),
                c.notices?.map((n) => n.to),
            )}
        </ul>
    );
}
