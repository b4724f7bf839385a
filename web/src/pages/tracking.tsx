// SPDX-License-Identifier: Apache-2.0
// Where is this mail, and why? A search over the history, and the story of one message.
import { useMemo } from 'preact/hooks';
import { segment, useGet } from '../api';
import {
    Badge,
    Busy,
    CopyButton,
    Empty,
    Facts,
    Failed,
    Filters,
    Icon,
    Note,
    Outcome,
    PageHead,
    Panel,
    Size,
    Table,
    Time,
    usePaged,
} from '../components';
import type { Column, FilterField } from '../components';
import { duration, fullTime, hopName } from '../format';
import { number, t, tWord } from '../i18n';
import type { PageProps } from '../pages';
import { href } from '../router';
import { may } from '../session';
import { Address, Checks, Recipients, SenderButtons, askOne, periods, stages } from './mail';
import type { CheckEntry } from './mail';
import { QueueButtons } from './queue';
import type { QueueMessage } from './queue';

interface Event {
    kind: string;
    time: number;
    recipient?: string;
    for?: string;
    copy?: boolean;
    code?: number;
    text?: string;
    host?: string;
    trace?: CheckEntry[];
    checks?: CheckEntry[];
}
interface Story {
    id: string;
    kind?: string;
    state?: string;
    time?: number;
    session?: string;
    client?: string;
    helo?: string;
    sender?: string;
    recipients?: string[];
    given?: string[];
    copies?: string[];
    recipient_count?: number;
    message_id?: string;
    subject?: string;
    size?: number;
    code?: number;
    text?: string;
    /** In a list: what its latest event says. */
    reason?: string;
    trace?: CheckEntry[];
    checks?: CheckEntry[];
    events?: Event[];
    truncated?: boolean;
}
interface Answer {
    messages: Story[];
    total?: number;
    before?: string;
    indexing?: boolean;
}

const outcomes = ['accepted', 'delivered', 'deferred', 'bounced', 'refused', 'quarantined', 'released', 'discarded', 'deleted', 'held', 'resumed'];
const results = ['allow', 'score', 'hold', 'defer', 'reject', 'discard', 'quarantine', 'pass', 'skip'];

export default function Tracking({ rest, query, go }: PageProps) {
    return rest[0] ? <StoryPage id={rest[0]} key={rest[0]} /> : <Search query={query} go={go} />;
}

function fields(): FilterField[] {
    const any: [string, string] = ['', t('filter.any')];
    return [
        { id: 'address', label: t('tracking.address'), hint: t('filter.address_hint'), search: true },
        { id: 'subject', label: t('tracking.subject') },
        { id: 'outcome', label: t('tracking.outcome'), words: [any, ...outcomes.map((o): [string, string] => [o, tWord('outcome', o)])] },
        {
            id: 'period',
            label: t('tracking.period'),
            words: [['', t('filter.ever')], ...periods.map(([p]): [string, string] => [p, t(`period.${p as '1h'}`)])],
        },
        { id: 'reason', label: t('tracking.reason'), hint: t('tracking.reason_hint') },
        { id: 'sender', label: t('queue.sender'), hint: t('filter.address_hint'), more: true },
        { id: 'recipient', label: t('queue.recipient'), hint: t('filter.address_hint'), more: true },
        { id: 'client', label: t('tracking.client'), hint: '192.0.2.0/24', more: true },
        { id: 'message_id', label: 'Message-ID', more: true },
        { id: 'check', label: t('checks.check'), hint: 'greylist', more: true },
        { id: 'stage', label: t('checks.stage'), words: [any, ...stages.map((s): [string, string] => [s, tWord('stage', s)])], more: true },
        {
            id: 'result',
            label: t('tracking.result'),
            words: [any, ...results.map((r): [string, string] => [r, tWord('outcome', r)])],
            more: true,
        },
        { id: 'since', label: t('tracking.since'), type: 'time', more: true },
        { id: 'until', label: t('tracking.until'), type: 'time', more: true },
    ];
}

function Search({ query, go }: Pick<PageProps, 'query' | 'go'>) {
    const since = useMemo(() => {
        const ms = periods.find(([p]) => p === query.period)?.[1];
        return ms ? String(Math.floor((Date.now() - ms) / 60000) * 60000) : query.since;
    }, [query.period, query.since]);
    const { period: _, ...filters } = query;
    const list = usePaged<Answer, Story>(
        '/v1/trace',
        { ...filters, since },
        { rows: (a) => a.messages, total: (a) => a.total, next: (a) => a.before, cursor: 'before' },
    );
    const columns: Column<Story>[] = [
        { id: 'time', title: t('tracking.time'), tight: true, cell: (m) => <Time ms={m.time} /> },
        { id: 'state', title: t('tracking.state'), tight: true, cell: (m) => <Outcome word={m.state ?? m.kind ?? ''} code={m.code} /> },
        { id: 'sender', title: t('queue.sender'), address: true, cell: (m) => <Address of={m.sender ?? ''} /> },
        {
            id: 'recipients',
            title: t('queue.recipients'),
            address: true,
            cell: (m) => <Recipients of={m.recipients} count={m.recipient_count} />,
        },
        { id: 'subject', title: t('tracking.subject'), cell: (m) => m.subject && <div class="subject">{m.subject}</div> },
        { id: 'reason', title: t('tracking.reason'), cell: (m) => <Reason m={m} /> },
        { id: 'client', title: t('tracking.client'), wideOnly: true, cell: (m) => <span class={`small ${m.client?.includes(':') ? '' : 'nowrap'}`}>{m.client}</span> },
        { id: 'size', title: t('queue.size'), num: true, wideOnly: true, cell: (m) => (m.size ? <Size bytes={m.size} /> : '') },
    ];
    return (
        <div class="stack">
            <PageHead title={t('nav.tracking')} help={t('tracking.help')} />
            <Filters query={query} go={go} fields={fields()} />
            {list.data?.indexing && <Note tone="warn">{t('list.incomplete')}</Note>}
            <section class="panel" aria-label={t('tracking.found')}>
                <Table
                    label={t('tracking.found')}
                    columns={columns}
                    {...list.table}
                    keyOf={(m) => m.id}
                    onOpen={(m) => go([m.id])}
                    empty={
                        <Empty>
                            {t('tracking.none')}
                            {list.paging.more && ` ${t('tracking.further')}`}
                        </Empty>
                    }
                />
            </section>
        </div>
    );
}

const REASON_SHOWN = 160; /* letters; all of it is in the story */

/** Why it did not simply arrive. */
function Reason({ m }: { m: Story }) {
    const why = m.kind === 'refused' ? m.text : m.state === 'delivered' || m.state === 'queued' ? undefined : m.reason;
    if (!why) return null;
    return <span class="dim small">{why.length > REASON_SHOWN ? `${why.slice(0, REASON_SHOWN)} …` : why}</span>;
}

/* ---- one message */

const inQueue = new Set(['queued', 'deferred', 'held', 'active', 'incoming']);

function StoryPage({ id }: { id: string }) {
    const got = useGet<Answer>('/v1/trace', { id });
    const m = got.data?.messages?.[0];
    const queued = useGet<{ messages: QueueMessage[] }>(m && inQueue.has(m.state ?? '') ? `/v1/queue/${segment(id)}` : null);
    if (!m && got.busy) return <Busy />;
    if (got.error)
        return (
            <>
                <PageHead title={<span class="mono">{id}</span>} />
                <Failed error={got.error} retry={got.reload} />
            </>
        );
    if (!m)
        return (
            <>
                <PageHead title={<span class="mono">{id}</span>} />
                <Empty>{t('tracking.unknown')}</Empty>
            </>
        );
    const reload = () => {
        got.reload();
        queued.reload();
    };
    const q = queued.data?.messages?.[0],
        checks = m.checks ?? m.trace ?? [];
    return (
        <>
            <PageHead
                title={
                    <>
                        {m.subject || <span class="dim">{t('tracking.no_subject')}</span>} <Outcome word={m.state ?? m.kind ?? ''} code={m.code} />
                    </>
                }
                help={
                    <>
                        <span class="mono">{m.id}</span> <CopyButton text={m.id} />
                    </>
                }
            >
                {q && <QueueButtons m={q} done={reload} />}
                {m.state === 'quarantined' && <QuarantineButtons id={m.id} done={reload} />}
                <SenderButtons sender={m.sender} message={m.state === 'quarantined' ? m.id : undefined} />
                {m.client && (
                    <a
                        class="button"
                        href={href(['explain'], {
                            client: m.client,
                            helo: m.helo,
                            from: m.sender,
                            to: m.recipients?.slice(0, 5).join(' '),
                        })}
                    >
                        {t('nav.explain')}
                    </a>
                )}
                <button type="button" class="icon" title={t('common.refresh')} aria-label={t('common.refresh')} onClick={reload}>
                    <Icon name="refresh" />
                </button>
            </PageHead>
            <div class="stack">
                <div class="grid">
                    <Panel title={t('queue.message')}>
                        <StoryFacts m={m} q={q} />
                    </Panel>
                    <Panel title={t('tracking.events')}>
                        <Timeline m={m} />
                    </Panel>
                </div>
                <Panel title={t('checks.title')}>
                    <Checks of={checks} />
                </Panel>
                {m.events
                    ?.filter((e) => (e.checks ?? e.trace)?.length)
                    .map((e, i) => (
                        <Panel key={i} title={t('tracking.checks_of', { what: tWord('outcome', e.kind), time: fullTime(e.time) })}>
                            <Checks of={(e.checks ?? e.trace)!} />
                        </Panel>
                    ))}
            </div>
        </>
    );
}

function StoryFacts({ m, q }: { m: Story; q?: QueueMessage }) {
    const list = (all?: string[]) =>
        all?.length ? (
            <>
                {all.map((r) => (
                    <div key={r}>
                        <a href={href(['tracking'], { address: r })}>{r}</a>
                    </div>
                ))}
            </>
        ) : (
            ''
        );
    return (
        <Facts
            of={[
                [t('queue.sender'), m.sender ? <a href={href(['tracking'], { address: m.sender })}>{m.sender}</a> : <Address of="" />],
                [
                    t('queue.recipients'),
                    <>
                        {list(m.recipients)}
                        {(m.recipient_count ?? 0) > (m.recipients?.length ?? 0) &&
                            t('mail.and_more', { n: m.recipient_count! - (m.recipients?.length ?? 0) })}
                    </>,
                ],
                [t('tracking.given'), list(m.given)],
                [t('tracking.copies'), list(m.copies)],
                [t('queue.arrival'), m.time ? <Time ms={m.time} full /> : ''],
                [
                    t('tracking.client'),
                    m.client && (
                        <>
                            <a href={href(['tracking'], { client: m.client })}>{m.client}</a>
                            {m.helo && <span class="dim"> {t('tracking.said', { helo: m.helo })}</span>}
                        </>
                    ),
                ],
                ['Message-ID', m.message_id && <span class="mono small">{m.message_id}</span>],
                [t('queue.size'), m.size ? <Size bytes={m.size} /> : ''],
                [t('tracking.session'), m.session && <span class="mono small">{m.session}</span>],
                [t('tracking.reply'), m.code ? `${m.code} ${m.text ?? ''}` : m.text],
                [t('queue.reason'), q?.reason],
                [t('queue.next'), q?.next_try ? <Time ms={q.next_try} full /> : ''],
                [t('queue.attempts'), q ? number(q.attempts) : ''],
            ]}
        />
    );
}

/** "from the quarantine as ID by root" → ID. */
const wentOn = (e: Event) => (e.kind === 'released' ? / as ([0-9a-z]{13})\b/.exec(e.text ?? '')?.[1] : undefined);

/** What happened, the latest last, with what remote servers said. */
function Timeline({ m }: { m: Story }) {
    const first: Event[] = m.time ? [{ kind: m.kind ?? 'accepted', time: m.time, code: m.code, text: m.text }] : [];
    const all = [...first, ...(m.events ?? [])];
    return (
        <ol class="timeline">
            {all.map((e, i) => (
                <li key={i} class={`of-${e.kind}`}>
                    <div class="row">
                        <Outcome word={e.kind} code={e.code} />
                        {e.copy && <Badge>{t('tracking.copy')}</Badge>}
                        <span class="dim small">
                            <Time ms={e.time} full />
                        </span>
                        {i > 0 && m.time && e.time - m.time >= 1000 && (
                            <span class="dim small">{t('tracking.after', { d: duration(Math.max(0, e.time - m.time)) })}</span>
                        )}
                    </div>
                    {e.recipient && (
                        <div>
                            {e.recipient}
                            {e.for && <span class="dim"> {t('mail.for', { address: e.for })}</span>}
                            {e.host && <span class="dim"> {t('tracking.at', { host: hopName(e.host) })}</span>}
                        </div>
                    )}
                    {!e.recipient && e.host && <div class="dim">{hopName(e.host)}</div>}
                    {(e.code || e.text) && (
                        <div class="reply mono small">
                            {e.code ? `${e.code} ` : ''}
                            {e.text}
                        </div>
                    )}
                    {wentOn(e) && <a href={href(['tracking', wentOn(e)!])}>{t('tracking.went_on')}</a>}
                </li>
            ))}
            {m.truncated && <li class="dim">{t('tracking.truncated')}</li>}
        </ol>
    );
}

function QuarantineButtons({ id, done }: { id: string; done: () => void }) {
    const release = () =>
        askOne({ id, action: t('quarantine.release'), text: t('quarantine.release_help'), path: '/v1/quarantine/release', done });
    return (
        <>
            <a class="button" href={href(['quarantine', id])}>
                {t('tracking.in_quarantine')}
            </a>
            {may('change') && (
                <button type="button" class="primary" onClick={release}>
                    {t('quarantine.release')}
                </button>
            )}
        </>
    );
}
