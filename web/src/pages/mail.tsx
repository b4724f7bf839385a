// SPDX-License-Identifier: Apache-2.0
// What tracking, queue, quarantine and explain have in common: addresses, checks, allowing and blocking senders.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { post } from '../api';
import { Check, FormDialog, Note, Outcome, SelectField, TextField, ask, toast } from '../components';
import type { Chosen } from '../components';
import { placeOf } from '../forms/pages';
import { number, t, tWord } from '../i18n';
import { href } from '../router';
import type { Query } from '../router';
import { may } from '../session';

/** In a narrow column an address is broken behind its @ rather than anywhere. */
function Breakable({ of }: { of: string }) {
    const at = of.lastIndexOf('@') + 1;
    return at ? (
        <>
            {of.slice(0, at)}
            <wbr />
            {of.slice(at)}
        </>
    ) : (
        <>{of}</>
    );
}

/** The empty sender of bounces is shown as <>. */
export function Address({ of }: { of: string | null | undefined }) {
    return of ? (
        <span class="wrap">
            <Breakable of={of} />
        </span>
    ) : of === '' || of === undefined ? (
        <span class="dim" title={t('mail.null_sender')}>
            &lt;&gt;
        </span>
    ) : (
        <span class="dim">?</span>
    );
}

const RECIPIENTS_SHOWN = 2;

export function Recipients({ of, count }: { of: string[] | undefined; count?: number }) {
    const all = (of ?? []).slice(0, RECIPIENTS_SHOWN),
        n = count ?? of?.length ?? 0;
    return (
        <>
            {all.map((r, i) => (
                <span key={i} class="wrap">
                    {i > 0 && ', '}
                    <Breakable of={r} />
                </span>
            ))}
            {n > all.length && <span class="dim nowrap"> {t('mail.and_more', { n: n - all.length })}</span>}
        </>
    );
}

/** One that is not written in the configuration stands on a page all the same. */
function OptionLink({ option }: { option: string }) {
    const at = may('config') ? placeOf(option) : undefined;
    return at ? (
        <a class="mono small" href={href(at, { option })}>
            {option}
        </a>
    ) : (
        <code>{option}</code>
    );
}

/** Into the text of the configuration, where that may be seen. */
export function ConfigLine({ line, option }: { line?: number; option?: string }) {
    if (!line) return option ? <OptionLink option={option} /> : null;
    const text = option ?? t('mail.line', { n: line });
    return may('config') ? (
        <a href={href(['system', 'raw'], { line })} title={t('mail.line_title', { n: line })}>
            {text}
        </a>
    ) : (
        <span>{text}</span>
    );
}

export interface CheckEntry {
    stage: string;
    check: string;
    outcome: string;
    reason?: string;
    why?: string;
    ms?: number;
    line?: number;
    option?: string;
    recipient?: string;
    score?: number;
}

export const stages = ['connect', 'helo', 'mail', 'rcpt', 'data', 'content'];
export const quiet = new Set(['pass', 'skip']);

/** Every check with what it found, stage by stage. */
export function Checks({ of }: { of: CheckEntry[] }) {
    const [all, setAll] = useState(true);
    const shown = all ? of : of.filter((c) => !quiet.has(c.outcome));
    const total = of.reduce((sum, c) => sum + (c.ms ?? 0), 0);
    const order = (c: CheckEntry) => (stages.indexOf(c.stage) + stages.length + 1) % (stages.length + 1);
    const sorted = shown
        .map((c, i) => ({ c, i }))
        .sort((a, b) => order(a.c) - order(b.c) || a.i - b.i)
        .map((x) => x.c);
    if (!of.length) return <p class="dim">{t('checks.none')}</p>;
    return (
        <>
            <div class="row check-bar">
                <Check label={t('checks.also_quiet')} checked={all} onInput={setAll} />
                <span class="grow" />
                <span class="dim">{t('checks.sum', { n: of.length, ms: number(total, total < 10 ? 1 : 0) })}</span>
            </div>
            <div class="table-box">
                <table class="cards" role="table" aria-label={t('checks.title')}>
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader">{t('checks.stage')}</th>
                            <th role="columnheader">{t('checks.check')}</th>
                            <th role="columnheader">{t('checks.outcome')}</th>
                            <th role="columnheader">{t('checks.reason')}</th>
                            <th class="num" role="columnheader">
                                {t('checks.ms')}
                            </th>
                            <th class="tight" role="columnheader">
                                {t('checks.line')}
                            </th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">
                        {sorted.map((c, i) => (
                            <tr key={i} role="row">
                                <td class={`dim tight ${i > 0 && sorted[i - 1].stage === c.stage ? 'same' : ''}`} role="cell">
                                    {tWord('stage', c.stage)}
                                </td>
                                <td class="tight" role="cell">
                                    {c.check}
                                </td>
                                <td class="tight" role="cell">
                                    <Outcome word={c.outcome} />
                                    {c.score ? (
                                        <span class="dim small">
                                            {' '}
                                            {c.score > 0 ? '+' : ''}
                                            {number(c.score / 100, 2)}
                                        </span>
                                    ) : null}
                                </td>
                                <td role="cell" class={(c.reason ?? c.why ?? c.recipient) ? '' : 'blank'}>
                                    {c.reason ?? c.why}
                                    {c.recipient && <div class="dim small">{t('checks.for', { recipient: c.recipient })}</div>}
                                </td>
                                <td class="num tight hide-narrow" role="cell">
                                    {c.ms === undefined ? '' : number(c.ms, 1)}
                                </td>
                                <td class="tight" role="cell">
                                    <ConfigLine line={c.line} option={c.option} />
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </>
    );
}

/** Two buttons; what they ask: the address or its whole domain. message: of this sender, in the quarantine. */
export function SenderButtons({ sender, message }: { sender: string | undefined | null; message?: string }) {
    const [list, setList] = useState<'allow' | 'block' | null>(null);
    if (!sender || !may('senders')) return null;
    return (
        <>
            <button type="button" onClick={() => setList('allow')}>
                {t('sender.allow')}
            </button>
            <button type="button" onClick={() => setList('block')}>
                {t('sender.block')}
            </button>
            {list && <SenderDialog sender={sender} message={message} list={list} close={() => setList(null)} />}
        </>
    );
}

/** What allowing a sender gives. proven: the entry counts only where SPF proves the sender; effective: it would have let the message at hand through. */
interface Allowed {
    proven?: boolean;
    effective?: boolean;
}

/** Says what came of it; throws when one failed, after the others. unproved: of these a message is known that does not prove its sender. */
export async function allowSenders(addresses: Iterable<string>, how: { unproven?: boolean; unproved?: Set<string>; comment?: string; message?: string }): Promise<void> {
    const plain: string[] = [], proven: string[] = [], vain: string[] = [], { comment, message, unproven } = how;
    let failed: unknown;
    for (const address of addresses) {
        try {
            const a = await post<Allowed>('/v1/senders', { address, list: 'allow', ...(comment && { comment }), ...(message && { message }), ...(unproven && { unproven }) });
            (!a.proven ? plain : a.effective === false || how.unproved?.has(address) ? vain : proven).push(address);
        } catch (e) {
            failed = e;
        }
    }
    const told: [string[], 'sender.allowed' | 'sender.allowed_proven' | 'sender.allowed_vain'][] = [
        [plain, 'sender.allowed'], [proven, 'sender.allowed_proven'], [vain, 'sender.allowed_vain'],
    ];
    for (const [of, text] of told) if (of.length) toast(t(text, { address: of.join(', '), n: of.length }));
    if (failed) throw failed;
}

/** A box with its warning. */
export function Unproven({ on, set }: { on: boolean; set: (v: boolean) => void }) {
    return (
        <div class="stack">
            <Check label={t('sender.unproven')} checked={on} onInput={set} />
            {on && <Note tone="warn">{t('sender.unproven_help')}</Note>}
        </div>
    );
}

function SenderDialog({ sender, message, list, close }: { sender: string; message?: string; list: 'allow' | 'block'; close: () => void }) {
    const domain = sender.slice(sender.lastIndexOf('@') + 1);
    const [what, setWhat] = useState(sender),
        [comment, setComment] = useState(''),
        [unproven, setUnproven] = useState(false);
    const action = t(`sender.${list}`);
    const run = async () => {
        const more = comment.trim() ? { comment: comment.trim() } : {};
        if (list === 'allow') return allowSenders([what], { ...more, message, unproven });
        await post('/v1/senders', { address: what, list, ...more });
        toast(t('sender.blocked', { address: what }));
    };
    return (
        <FormDialog title={action} button={action} danger={list === 'block'} run={run} close={close}>
            <div class="stack">
                <p>{t(list === 'allow' ? 'sender.allow_help' : 'sender.block_help')}</p>
                <SelectField
                    label={t('sender.what')}
                    value={what}
                    onInput={setWhat}
                    words={[
                        [sender, sender],
                        ...(domain && domain !== sender ? [[domain, t('sender.domain', { domain })] as [string, string]] : []),
                    ]}
                />
                {list === 'allow' && <Unproven on={unproven} set={setUnproven} />}
                <TextField label={t('sender.comment')} help={t('sender.comment_help')} value={comment} onInput={setComment} />
            </div>
        </FormDialog>
    );
}

/** What a bulk request gives: {"matched", "done", "failed"} or {"matched"}. */
interface BulkAnswer {
    matched?: number;
    done?: BulkDone[];
    failed?: { id: string; error: string }[];
    before?: string;
}

/** proven: of what is released, whether SPF proved its sender. */
export interface BulkDone {
    sender?: string;
    proven?: boolean;
}

/** Asks again as long as there is more; says how it went. each: hears of what was done. */
export async function runBulk(path: string, body: Record<string, unknown>, each?: (done: BulkDone) => void): Promise<string> {
    let done = 0,
        before: string | undefined;
    const failed: { id: string; error: string }[] = [];
    do {
        const a = await post<BulkAnswer>(path, before ? { ...body, before } : body);
        done += a.done ? a.done.length : (a.matched ?? 0);
        if (each) a.done?.forEach(each);
        failed.push(...(a.failed ?? []));
        before = a.before;
    } while (before);
    if (failed.length && !done) throw new Error(failed[0].error);
    return failed.length
        ? t('bulk.some_failed', { done: number(done), failed: number(failed.length), why: failed[0].error })
        : t('bulk.done', { n: done });
}

/** Asks, and does it to one message. */
export function askOne(a: { id: string; action: string; text: ComponentChildren; danger?: boolean; path: string; body?: () => object; each?: (done: BulkDone) => void; done: () => unknown }): void {
    ask({
        title: t('table.ask', { action: a.action, n: 1 }),
        text: a.text,
        button: a.action,
        danger: a.danger,
        run: async () => {
            toast(await runBulk(a.path, { ids: [a.id], ...a.body?.() }, a.each));
            await a.done();
        },
    });
}

/** The chosen messages as members of a request: ids, or the arguments of the list (numbers as numbers) for all that fit. */
export function selection(chosen: Chosen, args: Query, numbers: string[]): Record<string, unknown> {
    if ('ids' in chosen) return { ids: chosen.ids };
    const out: Record<string, unknown> = {};
    for (const [k, v] of Object.entries(args)) if (v !== undefined && v !== null && v !== '') out[k] = numbers.includes(k) ? Number(v) : v;
    return Object.keys(out).length ? out : { all: true };
}

export const periods: [string, number][] = [
    ['1h', 3600000],
    ['24h', 86400000],
    ['7d', 604800000],
    ['30d', 2592000000],
];
