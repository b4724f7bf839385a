// SPDX-License-Identifier: Apache-2.0
// The last day at a glance: mail by outcome, the way through the checks, the most frequent, the queue, and how helpers are. Figures of the
// queue, of the present hour and of the last minutes are live; the rest is asked again when something was counted.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useGet } from '../api';
import { Ago, Badge, Busy, Empty, Failed, Legend, PageHead, Panel, Ranks, SelectField, StackedBars } from '../components';
import type { Tone } from '../components';
import { hopName } from '../format';
import { number, t } from '../i18n';
import { connectionsAMinute, useLive } from '../live';
import type { LiveStatus } from '../live';
import type { PageProps } from '../pages';
import { href } from '../router';
import type { Query } from '../router';
import { may } from '../session';
import { certificateTone } from './certificates';
import type { Certificate } from './certificates';
import { periods } from './mail';
import { Scheme } from './scheme';
import { bars, series, stacked, sums, topHref, topTitle, withHour } from './statistics';
import type { Statistics } from './statistics';

const REFRESH_MS = 5000; /* at most so often while mail flows */
const IDLE_MS = 60000;

export default function Dashboard({ query, go }: PageProps) {
    const period = periods.find(([p]) => p === query.period) ?? periods[1];
    const [now, setNow] = useState(Date.now);
    const since = Math.floor((now - period[1]) / 3600000) * 3600000;
    const live = useLive();
    const stats = useGet<Statistics>('/v1/statistics', { since });
    const reload = useRef<() => void>(() => undefined);
    reload.current = () => {
        setNow(Date.now());
        stats.reload();
    };
    useFresh(live.status, reload);
    const hour = live.status?.live?.hour,
        minute = live.status?.live?.minute,
        connections = connectionsAMinute();
    const s = useMemo(() => stats.data && withHour(stats.data, hour), [stats.data, hour]),
        total = useMemo(() => (s ? sums(s.hours) : {}), [s]);
    const args: Query = { period: period[0] };
    return (
        <>
            <PageHead
                title={t('nav.dashboard')}
                help={
                    <span aria-live="off">
                        <Badge tone={live.connected ? 'ok' : ''}>{t(live.connected ? 'dashboard.live' : 'dashboard.not_live')}</Badge>
                        {minute && (
                            <>
                                {' '}
                                {t('dashboard.messages_minute', { n: minute.accepted ?? 0 })}
                                {connections !== undefined && t('dashboard.connections_minute', { n: Math.round(connections) })}
                            </>
                        )}
                    </span>
                }
            >
                <div class="compact">
                    <SelectField
                        label={<span class="hidden-text">{t('tracking.period')}</span>}
                        value={period[0]}
                        words={periods.map(([p]) => [p, t(`period.${p as '1h'}`)])}
                        onInput={(p) => go([], { period: p }, true)}
                    />
                </div>
            </PageHead>
            {stats.error && <Failed error={stats.error} retry={stats.reload} />}
            <div class="stack">
                <Figures total={total} live={live.status} args={args} />
                {!s && stats.busy && <Busy />}
                {s && (
                    <>
                        <Panel
                            title={t('dashboard.by_hour')}
                            actions={
                                <Legend
                                    series={series()}
                                    counts={total}
                                    href={may('mail') ? (id) => href(['tracking'], { ...args, outcome: id }) : undefined}
                                />
                            }
                        >
                            <StackedBars bars={bars(s, since, now)} series={stacked()} label={t('dashboard.by_hour')} />
                        </Panel>
                        <Panel title={t('scheme.title')} flush>
                            <Scheme
                                of={s.stages}
                                accepted={total.accepted ?? 0}
                                delivered={total.delivered ?? 0}
                                args={args}
                                live={live.connected ? live.status?.live : undefined}
                            />
                        </Panel>
                        <div class="masonry">
                            {(['reasons', 'senders', 'recipients', 'viruses'] as const)
                                .filter((l) => l !== 'viruses' || s.top.viruses?.length)
                                .map((l) => (
                                    <Panel title={topTitle(l)} key={l}>
                                        <Ranks
                                            of={(s.top[l] ?? []).slice(0, 8)}
                                            href={may('mail') ? (k) => topHref(l, k, args) : undefined}
                                        />
                                    </Panel>
                                ))}
                            {may('mail') && <Destinations />}
                            <Health />
                            {may('config') && <Certificates />}
                        </div>
                    </>
                )}
            </div>
        </>
    );
}

/** Asks anew soon after counts changed, else now and then. */
function useFresh(status: LiveStatus | undefined, reload: { current: () => void }) {
    const counts = status ? JSON.stringify([status.counts, status.server?.messages, status.queue?.messages]) : 'null',
        last = useRef(Date.now()),
        shown = useRef<string>();
    useEffect(() => {
        if (shown.current === undefined) shown.current = counts === 'null' ? undefined : counts;
        const changed = shown.current !== undefined && counts !== shown.current;
        const timer = setTimeout(
            () => {
                last.current = Date.now();
                shown.current = counts;
                if (!document.hidden) reload.current();
            },
            changed ? Math.max(0, REFRESH_MS - (Date.now() - last.current)) : IDLE_MS,
        );
        return () => clearTimeout(timer);
    }, [counts]);
}

function Figure({ n, label, to, tone }: { n: number | undefined; label: string; to?: string; tone?: Tone }) {
    const inner = (
        <>
            <b class={tone}>{n === undefined ? '–' : number(n)}</b>
            <span>{label}</span>
        </>
    );
    return to && may('mail') ? (
        <a class="panel figure" href={to}>
            {inner}
        </a>
    ) : (
        <div class="panel figure">{inner}</div>
    );
}

function Figures({ total, live, args }: { total: Record<string, number>; live?: LiveStatus; args: Query }) {
    const q = live?.queue,
        track = (outcome: string) => href(['tracking'], { ...args, outcome });
    return (
        <div class="figures">
            <Figure n={total.accepted} label={t('outcome.accepted')} to={track('accepted')} />
            <Figure n={total.delivered} label={t('outcome.delivered')} to={track('delivered')} />
            <Figure n={total.refused} label={t('outcome.refused')} to={track('refused')} />
            <Figure n={total.quarantined} label={t('outcome.quarantined')} to={href(['quarantine'])} />
            <Figure n={total.bounced} label={t('outcome.bounced')} to={track('bounced')} />
            <Figure n={q?.messages} label={t('dashboard.in_queue')} to={href(['queue'])} />
            <Figure n={q?.deferred} label={t('dashboard.deferred')} to={href(['queue'], { state: 'deferred' })} />
            <Figure n={q?.held} label={t('outcome.held')} to={href(['queue'], { state: 'held' })} />
        </div>
    );
}

function Destinations() {
    const got = useGet<{ groups: { key: string; messages: number; oldest: number }[] }>('/v1/queue/groups', { by: 'destination' }, 15000);
    return (
        <Panel title={t('dashboard.destinations')}>
            {got.data ? (
                got.data.groups.length ? (
                    <Ranks
                        of={got.data.groups.slice(0, 8).map((g) => ({ key: g.key, n: g.messages }))}
                        nameOf={(k) => hopName(k) || t('queue.none_yet')}
                        href={(k) => href(['queue'], { destination: k })}
                    />
                ) : (
                    <Empty icon="check">{t('queue.empty')}</Empty>
                )
            ) : got.error ? (
                <Failed error={got.error} />
            ) : (
                <Busy />
            )}
        </Panel>
    );
}

interface RelayStatus {
    figures?: {
        scan?: {
            trouble?: string;
            failure?: string;
            scanners?: { name: string; state: string; error?: string; paused?: boolean }[];
        };
        policy?: { dns_lists?: { zone: string; state: string; asked: number; listed: number; reason?: string }[] };
        spool?: { full?: boolean };
        providers?: { name: string; failing: boolean }[];
    }[];
    missing?: number;
    store?: { quarantine?: { full?: boolean } };
}
interface HealthLine {
    name: string;
    tone: Tone;
    state: string;
    text?: string;
}

/** Each helper once, as the worst of what the workers say. */
function healthLines(f: RelayStatus): { scanners: HealthLine[]; lists: HealthLine[]; relay: HealthLine[] } {
    const scanners = new Map<string, HealthLine>(),
        lists = new Map<string, HealthLine>(),
        relay: HealthLine[] = [];
    const put = (to: Map<string, HealthLine>, line: HealthLine) => {
        if (to.get(line.name)?.tone !== 'bad') to.set(line.name, line);
    };
    for (const w of f.figures ?? []) {
        for (const s of w.scan?.scanners ?? [])
            put(scanners, {
                name: s.name,
                tone: s.paused || s.error ? 'bad' : s.state === 'fine' ? 'ok' : '',
                state: s.paused
                    ? t('health.paused')
                    : s.state === 'fine'
                      ? t('health.fine')
                      : s.state === 'not-asked'
                        ? t('health.not_asked')
                        : s.state,
                text: s.error,
            });
        if (w.scan?.trouble || w.scan?.failure)
            put(scanners, { name: t('health.scan'), tone: 'bad', state: t('health.trouble'), text: w.scan.trouble || w.scan.failure });
        for (const l of w.policy?.dns_lists ?? [])
            put(lists, {
                name: l.zone,
                tone: l.state === 'off' ? 'bad' : l.state === 'up' ? 'ok' : '',
                state: l.state === 'off' ? t('health.off') : l.state === 'up' ? t('health.fine') : t('health.not_asked'),
                text: l.reason ?? (l.asked ? t('health.asked', { asked: l.asked, listed: l.listed }) : undefined),
            });
        if (w.spool?.full) relay.push({ name: t('health.disk'), tone: 'bad', state: t('health.full') });
        for (const p of w.providers ?? []) if (p.failing) relay.push({ name: p.name, tone: 'warn', state: t('health.trouble') });
    }
    if (f.store?.quarantine?.full) relay.push({ name: t('nav.quarantine'), tone: 'bad', state: t('health.full') });
    if (f.missing) relay.push({ name: t('health.workers'), tone: 'bad', state: t('health.no_answer', { n: f.missing }) });
    return { scanners: [...scanners.values()], lists: [...lists.values()], relay };
}

function Health() {
    const got = useGet<RelayStatus>('/v1/status', undefined, 15000);
    if (!got.data) return <Panel title={t('health.title')}>{got.error ? <Failed error={got.error} /> : <Busy />}</Panel>;
    const { scanners, lists, relay } = healthLines(got.data);
    const draw = (title: string, all: HealthLine[]) =>
        all.length > 0 && (
            <>
                <dt>{title}</dt>
                <dd>
                    {all.map((l) => (
                        <div class="health" key={l.name}>
                            <span>{l.name}</span>{' '}
                            <Badge tone={l.tone} title={l.text}>
                                {l.state}
                            </Badge>
                            {l.text && <div class="dim small">{l.text}</div>}
                        </div>
                    ))}
                </dd>
            </>
        );
    return (
        <Panel title={t('health.title')}>
            {relay.length + scanners.length + lists.length ? (
                <dl class="facts">
                    {draw(t('health.relay'), relay)}
                    {draw(t('health.scanners'), scanners)}
                    {draw(t('health.lists'), lists)}
                </dl>
            ) : (
                <p class="dim">{t('health.none')}</p>
            )}
        </Panel>
    );
}

function Certificates() {
    const got = useGet<{ certificates: Certificate[] }>('/v1/keys', undefined, 600000);
    return (
        <Panel title={t('dashboard.certificates')} actions={<a href={href(['keys'])}>{t('dashboard.all')}</a>}>
            {!got.data ? (
                got.error ? (
                    <Failed error={got.error} />
                ) : (
                    <Busy />
                )
            ) : got.data.certificates.length === 0 ? (
                <p class="dim">{t('dashboard.no_certificates')}</p>
            ) : (
                <ul class="plain">
                    {got.data.certificates.map((c) => (
                        <li class="health" key={c.name + c.file}>
                            <span class="wrap">{c.names?.[0] ?? c.subject ?? c.file}</span>{' '}
                            <Badge tone={certificateTone(c)}>
                                {c.error ? t('health.trouble') : c.not_after ? <Ago ms={c.not_after} /> : t('health.fine')}
                            </Badge>
                            <div class="dim small">{c.error ?? (c.self_signed ? t('dashboard.self_signed') : c.name)}</div>
                        </li>
                    ))}
                </ul>
            )}
        </Panel>
    );
}
