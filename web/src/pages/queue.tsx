// SPDX-License-Identifier: Apache-2.0
// The queue: what waits, why, and until when; one, several or all that fit can be retried, held, released or deleted.
import { useState } from 'preact/hooks';
import { post, segment, useGet } from '../api';
import {
    Ago,
    Empty,
    Facts,
    Failed,
    Filters,
    Busy,
    Note,
    Outcome,
    PageHead,
    Panel,
    Size,
    Table,
    Tabs,
    Time,
    usePaged,
} from '../components';
import type { Bulk, Chosen, Column } from '../components';
import { duration, hopName } from '../format';
import { number, t, tWord } from '../i18n';
import type { PageProps } from '../pages';
import { href } from '../router';
import { may } from '../session';
import { Address, Recipients, SenderButtons, askOne, runBulk, selection } from './mail';

export interface QueueMessage {
    id: string;
    state: string;
    size: number;
    arrival: number;
    age: number;
    attempts: number;
    next_try: number;
    destination: string;
    reason: string;
    recipient_count: number;
    sender: string | null;
    recipients: { address: string; status: string; reason?: string; for?: string }[];
    client?: string;
    helo?: string;
    zone?: string;
    message_id?: string;
    subject?: string;
    expires?: number;
}
interface Answer {
    messages: QueueMessage[];
    total?: number;
    matched?: number;
    after?: string;
    missing?: number;
}
interface Group {
    key: string;
    messages: number;
    bytes: number;
    oldest: number;
    next_try: number;
}
type Op = 'retry' | 'hold' | 'release' | 'delete';

const ops: { id: Op; danger?: boolean }[] = [{ id: 'retry' }, { id: 'hold' }, { id: 'release' }, { id: 'delete', danger: true }];
const states = ['incoming', 'active', 'deferred', 'held'];

export default function Queue({ rest, query, go }: PageProps) {
    if (rest[0] === 'message' && rest[1]) return <Detail id={rest[1]} key={rest[1]} />;
    const tab = ['destination', 'reason'].includes(rest[0]) ? rest[0] : 'messages';
    return (
        <>
            <PageHead title={t('nav.queue')} help={t('queue.help')} />
            <Tabs
                label={t('nav.queue')}
                at={tab}
                onSelect={(id) => go(id === 'messages' ? [] : [id])}
                tabs={[
                    ['messages', t('queue.messages')],
                    ['destination', t('queue.by_destination')],
                    ['reason', t('queue.by_reason')],
                ]}
            />
            {tab === 'messages' ? <Messages query={query} go={go} /> : <Groups by={tab as 'destination' | 'reason'} key={tab} />}
        </>
    );
}

const hours: [string, string][] = [
    ['', '–'],
    ['3600000', '1'],
    ['14400000', '4'],
    ['86400000', '24'],
    ['172800000', '48'],
];

function Messages({ query, go }: Pick<PageProps, 'query' | 'go'>) {
    const args = {
        sender: query.sender,
        recipient: query.recipient,
        destination: query.destination,
        reason: query.reason,
        state: query.state,
        older_than: query.older_than,
    };
    const list = usePaged<Answer, QueueMessage>('/v1/queue', args, {
        rows: (a) => a.messages,
        total: (a) => a.total ?? a.matched,
        cursor: 'after',
        sort: 'arrival',
        every: 10000,
        next: (a, rows, size, page) =>
            a.after ?? (rows.length === size && page * size + size < (a.total ?? a.matched ?? 0) ? rows[rows.length - 1].id : undefined),
    });
    const run = (op: Op, chosen: Chosen) => runBulk(`/v1/queue/${op}`, selection(chosen, args, ['older_than']));
    const columns: Column<QueueMessage>[] = [
        {
            id: 'arrival',
            title: t('queue.age'),
            sort: true,
            tight: true,
            cell: (m) => <span title={new Date(m.arrival).toLocaleString()}>{duration(m.age)}</span>,
        },
        { id: 'state', title: t('queue.state'), tight: true, cell: (m) => <Outcome word={m.state} /> },
        { id: 'sender', title: t('queue.sender'), address: true, sort: true, cell: (m) => <Address of={m.sender} /> },
        {
            id: 'recipients',
            title: t('queue.recipients'),
            address: true,
            cell: (m) => <Recipients of={m.recipients.map((r) => r.address)} count={m.recipient_count} />,
        },
        { id: 'reason', title: t('queue.reason'), wideOnly: true, cell: (m) => <span class="small">{m.reason}</span> },
        { id: 'attempts', title: t('queue.attempts'), sort: true, num: true, wideOnly: true, cell: (m) => number(m.attempts) },
        { id: 'next', title: t('queue.next'), sort: true, tight: true, wideOnly: true, cell: (m) => <Ago ms={m.next_try} /> },
        { id: 'size', title: t('queue.size'), sort: true, num: true, wideOnly: true, cell: (m) => <Size bytes={m.size} /> },
    ];
    return (
        <div class="stack">
            <Filters
                query={query}
                go={go}
                fields={[
                    { id: 'sender', label: t('queue.sender'), hint: t('filter.address_hint'), search: true },
                    { id: 'recipient', label: t('queue.recipient'), hint: t('filter.address_hint') },
                    { id: 'destination', label: t('queue.destination'), hint: 'example.com' },
                    { id: 'reason', label: t('queue.reason') },
                    {
                        id: 'state',
                        label: t('queue.state'),
                        words: [['', t('filter.any')], ...states.map((s): [string, string] => [s, tWord('outcome', s)])],
                    },
                    { id: 'older_than', label: t('queue.older_than'), words: hours },
                ]}
            />
            {!!list.data?.missing && <Note tone="warn">{t('list.missing', { n: list.data.missing })}</Note>}
            <section class="panel" aria-label={t('queue.messages')}>
                <Table
                    label={t('queue.messages')}
                    columns={columns}
                    {...list.table}
                    keyOf={(m) => m.id}
                    onOpen={(m) => go(['message', m.id])}
                    allowAll
                    bulk={may('change') ? actions(run) : undefined}
                    empty={<Empty icon="check">{t('queue.empty')}</Empty>}
                />
            </section>
        </div>
    );
}

function actions(run: (op: Op, chosen: Chosen) => Promise<string>): Bulk[] {
    return ops.map((o) => ({
        id: o.id,
        label: t(`queue.${o.id}`),
        danger: o.danger,
        text: () => t(`queue.${o.id}_help`),
        run: (chosen) => run(o.id, chosen),
    }));
}

function Groups({ by }: { by: 'destination' | 'reason' }) {
    const got = useGet<{ groups: Group[]; total?: number }>('/v1/queue/groups', { by }, 10000);
    const run = async (op: Op, chosen: Chosen) => {
        const keys = 'ids' in chosen ? chosen.ids : got.data!.groups.map((g) => g.key);
        let n = 0;
        for (const key of keys) n += (await post<{ matched?: number }>(`/v1/queue/${op}`, { [by]: key })).matched ?? 0;
        return t('bulk.done', { n });
    };
    const sums = new Map(got.data?.groups.map((g) => [g.key, g.messages]));
    const bulk = actions(run).map(
        (b): Bulk => ({
            ...b,
            text: () => (
                <>
                    <p>{t(`queue.${b.id as Op}_help`)}</p>
                    <p>{t('queue.groups_note')}</p>
                </>
            ),
        }),
    );
    return (
        <section class="panel" aria-label={t(`queue.by_${by}`)}>
            <Table
                label={t(`queue.by_${by}`)}
                rows={got.data?.groups}
                keyOf={(g) => g.key}
                sort="-messages"
                error={got.error}
                retry={got.reload}
                busy={got.busy}
                after={got.reload}
                bulk={may('change') ? bulk : undefined}
                empty={<Empty icon="check">{t('queue.empty')}</Empty>}
                onOpen={(g) => {
                    location.hash = href(['queue'], { [by]: g.key });
                }}
                columns={[
                    {
                        id: 'key',
                        title: t(`queue.${by}`),
                        sort: (g) => g.key,
                        cell: (g) => <a href={href(['queue'], { [by]: g.key })}>{(by === 'destination' ? hopName(g.key) : g.key) || t('queue.none_yet')}</a>,
                    },
                    {
                        id: 'messages',
                        title: t('queue.messages'),
                        sort: (g) => g.messages,
                        num: true,
                        cell: (g) => number(sums.get(g.key) ?? g.messages),
                    },
                    {
                        id: 'bytes',
                        title: t('queue.size'),
                        sort: (g) => g.bytes,
                        num: true,
                        wideOnly: true,
                        cell: (g) => <Size bytes={g.bytes} />,
                    },
                    { id: 'oldest', title: t('queue.oldest'), sort: (g) => g.oldest, cell: (g) => <Ago ms={g.oldest} />, tight: true },
                    {
                        id: 'next_try',
                        title: t('queue.next'),
                        sort: (g) => g.next_try,
                        cell: (g) => <Ago ms={g.next_try} />,
                        tight: true,
                        wideOnly: true,
                    },
                ]}
            />
        </section>
    );
}

/** What can be done with one message in the queue. */
export function QueueButtons({ m, done }: { m: QueueMessage; done: (op: Op) => void }) {
    if (!may('change')) return null;
    const fits = (op: Op) =>
        op === 'release' ? m.state === 'held' : op === 'hold' ? m.state !== 'held' : op === 'retry' ? m.state === 'deferred' : true;
    const start = (op: Op, danger?: boolean) =>
        askOne({ id: m.id, action: t(`queue.${op}`), text: t(`queue.${op}_help`), danger, path: `/v1/queue/${op}`, done: () => done(op) });
    return (
        <>
            {ops
                .filter((o) => fits(o.id))
                .map((o) => (
                    <button type="button" key={o.id} class={o.danger ? 'danger' : ''} onClick={() => start(o.id, o.danger)}>
                        {t(`queue.${o.id}`)}
                    </button>
                ))}
        </>
    );
}

function Detail({ id }: { id: string }) {
    const got = useGet<Answer>(`/v1/queue/${segment(id)}`, undefined, 10000);
    const [gone, setGone] = useState(false);
    const m = got.data?.messages?.[0];
    const done = (op: Op) => (op === 'delete' ? setGone(true) : got.reload());
    if (got.error?.status === 404 || gone)
        return (
            <>
                <PageHead title={id} />
                <Empty>
                    {t('queue.gone')} <a href={href(['tracking', id])}>{t('queue.story')}</a>
                </Empty>
            </>
        );
    return (
        <>
            <PageHead title={<span class="mono">{id}</span>} help={m?.subject}>
                <a class="button" href={href(['tracking', id])}>
                    {t('queue.story')}
                </a>
                {m && <QueueButtons m={m} done={done} />}
                <SenderButtons sender={m?.sender} />
            </PageHead>
            {got.error && <Failed error={got.error} retry={got.reload} />}
            {!m && got.busy && <Busy />}
            {m && (
                <div class="stack">
                    <Panel title={t('queue.message')}>
                        <Facts
                            of={[
                                [t('queue.state'), <Outcome word={m.state} />],
                                [t('queue.reason'), m.reason],
                                [t('queue.sender'), <Address of={m.sender} />],
                                [t('queue.destination'), hopName(m.destination)],
                                [t('queue.arrival'), <Time ms={m.arrival} full />],
                                [t('queue.attempts'), number(m.attempts)],
                                [
                                    t('queue.next'),
                                    m.next_try ? (
                                        <>
                                            <Time ms={m.next_try} full /> (<Ago ms={m.next_try} />)
                                        </>
                                    ) : (
                                        ''
                                    ),
                                ],
                                [t('queue.expires'), m.expires && m.state !== 'held' ? <Time ms={m.expires} full /> : ''],
                                [t('queue.client'), m.client && `${m.client}${m.helo ? ` (${m.helo})` : ''}`],
                                [t('queue.zone'), m.zone],
                                ['Message-ID', m.message_id],
                                [t('queue.size'), <Size bytes={m.size} />],
                            ]}
                        />
                    </Panel>
                    <section class="panel" aria-label={t('queue.recipients')}>
                        <Table
                            label={t('queue.recipients')}
                            rows={m.recipients}
                            keyOf={(r) => r.address}
                            columns={[
                                {
                                    id: 'address',
                                    title: t('queue.recipient'),
                                    sort: (r) => r.address,
                                    cell: (r) => (
                                        <>
                                            {r.address}
                                            {r.for && <div class="dim small">{t('mail.for', { address: r.for })}</div>}
                                        </>
                                    ),
                                },
                                { id: 'status', title: t('queue.state'), tight: true, cell: (r) => <Outcome word={m.state === 'held' && (r.status === 'pending' || r.status === 'deferred') ? 'held' : r.status} /> },
                                { id: 'reason', title: t('queue.reason'), cell: (r) => r.reason },
                            ]}
                        />
                    </section>
                </div>
            )}
        </>
    );
}
