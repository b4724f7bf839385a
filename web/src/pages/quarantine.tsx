// SPDX-License-Identifier: Apache-2.0
// What is kept apart: list, actions, and one message in quarantine_view. Whoever has the right "own" only sees what is for his addresses.
import { useRef, useState } from 'preact/hooks';
import { Check, Empty, Filters, Note, Outcome, PageHead, Size, Table, Time, attempt, usePaged } from '../components';
import type { Bulk, Chosen, Column, FilterField } from '../components';
import { number, t, tWord } from '../i18n';
import type { PageProps } from '../pages';
import type { Query } from '../router';
import { may, session } from '../session';
import { Address, Recipients, Unproven, allowSenders, runBulk, selection } from './mail';
import type { BulkDone } from './mail';
import { QuarantineView } from './quarantine_view';

export interface Entry {
    id: string;
    kind: string;
    state: string;
    arrival: number;
    expires: number;
    score: number;
    size: number;
    recipient_count: number;
    learnt?: string;
    client?: string;
    sender?: string;
    subject?: string;
    reason?: string;
    message_id?: string;
    recipients: { address: string; state: string }[];
    /** Of one's own: may it be released? */
    releasable?: boolean;
}
interface Answer {
    messages: Entry[];
    matched?: number;
    total?: number;
    before?: string;
    partial?: boolean;
    reading?: boolean;
}

const kinds = ['spam', 'virus', 'file', 'rule', 'crash', 'auth'];
const numbers = ['since', 'until', 'score_min', 'score_max'];

export const onlyOwn = () => !may('mail');
export const base = () => (onlyOwn() ? '/v1/own/quarantine' : '/v1/quarantine');

export default function Quarantine({ rest, query, go }: PageProps) {
    return rest[0] ? <QuarantineView id={rest[0]} key={rest[0]} back={() => go([])} /> : <List query={query} go={go} />;
}

function fields(): FilterField[] {
    const any: [string, string] = ['', t('filter.any')];
    const all: FilterField[] = [
        { id: 'sender', label: t('queue.sender'), hint: t('filter.part_hint'), search: true },
        { id: 'recipient', label: t('queue.recipient'), hint: t('filter.part_hint') },
        { id: 'subject', label: t('tracking.subject') },
        { id: 'kind', label: t('quarantine.kind'), words: [any, ...kinds.map((k): [string, string] => [k, tWord('kind', k)])] },
        {
            id: 'state',
            label: t('queue.state'),
            words: [any, ...['held', 'released', 'deleted'].map((s): [string, string] => [s, tWord('outcome', s)])],
        },
        { id: 'reason', label: t('queue.reason'), more: true },
        { id: 'score_min', label: t('quarantine.score_min'), type: 'number', more: true },
        { id: 'score_max', label: t('quarantine.score_max'), type: 'number', more: true },
        {
            id: 'learnt',
            label: t('quarantine.learnt'),
            words: [any, ...['spam', 'ham', 'none'].map((s): [string, string] => [s, tWord('learnt', s)])],
            more: true,
        },
        { id: 'since', label: t('tracking.since'), type: 'time', more: true },
        { id: 'until', label: t('tracking.until'), type: 'time', more: true },
    ];
    return onlyOwn() ? [] : all;
}

/** The relay counts scores in hundredths. */
function hundredths(query: Record<string, string>): Query {
    const h = (v?: string) => (v && !isNaN(Number(v)) ? Math.round(Number(v) * 100) : undefined);
    return { ...query, score_min: h(query.score_min), score_max: h(query.score_max) };
}

function List({ query, go }: Pick<PageProps, 'query' | 'go'>) {
    const args = onlyOwn() ? {} : hundredths(query);
    const list = usePaged<Answer, Entry>(base(), args, {
        rows: (a) => a.messages,
        total: (a) => (a.partial ? undefined : (a.total ?? a.matched)),
        next: (a) => a.before,
        cursor: 'before',
        every: 30000,
    });
    const columns: Column<Entry>[] = [
        { id: 'arrival', title: t('tracking.time'), tight: true, cell: (m) => <Time ms={m.arrival} /> },
        { id: 'kind', title: t('quarantine.kind'), tight: true, cell: (m) => <KindBadge m={m} /> },
        { id: 'sender', title: t('queue.sender'), address: true, cell: (m) => <Address of={m.sender} /> },
        {
            id: 'recipients',
            title: t('queue.recipients'),
            address: true,
            wideOnly: true,
            cell: (m) => <Recipients of={m.recipients?.map((r) => r.address)} count={m.recipient_count} />,
        },
        { id: 'subject', title: t('tracking.subject'), cell: (m) => m.subject },
        { id: 'reason', title: t('queue.reason'), wideOnly: true, cell: (m) => <span class="small">{m.reason}</span> },
        { id: 'score', title: t('quarantine.score'), num: true, wideOnly: true, cell: (m) => (m.score ? number(m.score, 1) : '') },
        { id: 'size', title: t('queue.size'), num: true, wideOnly: true, cell: (m) => <Size bytes={m.size} /> },
    ];
    return (
        <div class="stack">
            <PageHead
                title={t('nav.quarantine')}
                help={onlyOwn() ? t('quarantine.own_help', { addresses: session()?.addresses.join(', ') ?? '' }) : t('quarantine.help')}
            />
            {!onlyOwn() && <Filters query={query} go={go} fields={fields()} />}
            {list.data?.reading && <Note tone="warn">{t('list.incomplete')}</Note>}
            <section class="panel" aria-label={t('nav.quarantine')}>
                <Table
                    label={t('nav.quarantine')}
                    columns={columns}
                    {...list.table}
                    keyOf={(m) => m.id}
                    onOpen={(m) => go([m.id])}
                    allowAll={!onlyOwn()}
                    bulk={useBulk(args, list.rows ?? [])}
                    empty={<Empty icon="check">{t('quarantine.empty')}</Empty>}
                />
            </section>
        </div>
    );
}

export function KindBadge({ m }: { m: Entry }) {
    return (
        <span class="row">
            {m.kind && <span class={`badge ${m.kind === 'virus' || m.kind === 'crash' ? 'bad' : 'held'}`}>{tWord('kind', m.kind)}</span>}
            {m.state && m.state !== 'held' && <Outcome word={m.state} />}
        </span>
    );
}

function useBulk(args: Query, rows: Entry[]): Bulk[] {
    const want = useRef(noWish()).current,
        senders = useRef(new Map<string, string>()).current; /* what is chosen may be on another page */
    for (const m of rows) if (m.sender) senders.set(m.id, m.sender);
    const own = onlyOwn();
    if (!own && !may('change')) return [];
    const act = (what: string, chosen: Chosen, more: object = {}, each?: (done: BulkDone) => void) =>
        runBulk(`${base()}/${what}`, { ...selection(chosen, args, numbers), ...more }, each);
    const release = async (c: Chosen) => {
        const said = await act('release', c, want.remove ? { delete: true } : {}, heard(want));
        if (want.allow && 'ids' in c) await allowAll(c.ids.flatMap((id) => senders.get(id) ?? []), want);
        return said;
    };
    const releaseText = (_: number, c: Chosen) => {
        Object.assign(want, noWish());
        return own ? t('quarantine.own_release_help') : <ReleaseText want={want} all={!('ids' in c)} />;
    };
    const train = (as: 'spam' | 'ham'): Bulk => ({
        id: as,
        label: t(`quarantine.train_${as}`),
        text: () => t('quarantine.train_help'),
        run: (c) => act('train', c, { as }),
    });
    return [
        { id: 'release', label: t('quarantine.release'), text: releaseText, run: release },
        ...(own ? [] : [train('spam'), train('ham')]),
        { id: 'delete', label: t('queue.delete'), danger: true, text: () => t('quarantine.delete_help'), run: (c) => act('delete', c) },
    ];
}

export interface ReleaseWish {
    allow: boolean;
    /** Also mail that does not prove its sender. */
    unproven: boolean;
    remove: boolean;
    /** Senders of what was released without proof of them. */
    unproved: Set<string>;
}

export const noWish = (): ReleaseWish => ({ allow: false, unproven: false, remove: false, unproved: new Set() });

/** Hears of each message that is released. */
export const heard = (want: ReleaseWish) => (done: BulkDone) => {
    if (done.proven === false && done.sender) want.unproved.add(done.sender);
};

export function allowAll(senders: string[], want: ReleaseWish): Promise<void> {
    return attempt(() => allowSenders(new Set(senders), want));
}

/** The question's boxes; what is ticked is in `want` when it is answered. all: of whom they are is not known. */
export function ReleaseText({ want, all }: { want: ReleaseWish; all?: boolean }) {
    const [, turn] = useState(0);
    const set = (key: 'allow' | 'unproven' | 'remove') => (v: boolean) => {
        want[key] = v;
        turn((n) => n + 1);
    };
    return (
        <div class="stack">
            <p>{t('quarantine.release_help')}</p>
            {may('senders') && !all && <Check label={t('quarantine.also_allow')} checked={want.allow} onInput={set('allow')} />}
            {want.allow && (
                <>
                    <p class="dim">{t('sender.allow_help')}</p>
                    <Unproven on={want.unproven} set={set('unproven')} />
                </>
            )}
            <Check label={t('quarantine.also_delete')} checked={want.remove} onInput={set('remove')} />
        </div>
    );
}
