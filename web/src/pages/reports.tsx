// SPDX-License-Identifier: Apache-2.0
// Figures of a period: sums, checks, and the most frequent; as tables, and as CSV files.
import { useMemo } from 'preact/hooks';
import { useGet } from '../api';
import { Busy, Failed, Field, Icon, Legend, PageHead, Panel, Ranks, SelectField, StackedBars, Table, Tabs } from '../components';
import { csv, hopName, save } from '../format';
import { number, t, tWord } from '../i18n';
import type { PageProps } from '../pages';
import { href } from '../router';
import { may } from '../session';
import { TlsReport } from './reports_tls';
import { acts, bars, count, each, outcomes, series, stacked, sums, topHref, topLists, topTitle } from './statistics';
import type { CheckCounts, Statistics } from './statistics';

const DAY = 86400000;

function dayStart(back: number): number {
    const d = new Date();
    d.setHours(0, 0, 0, 0);
    return d.getTime() - back * DAY;
}

/** [since, until) of a period's name, or of two days. */
function span(query: Record<string, string>): [number, number] {
    const now = Math.ceil(Date.now() / 60000) * 60000;
    switch (query.period ?? '7d') {
        case 'today':
            return [dayStart(0), now];
        case 'yesterday':
            return [dayStart(1), dayStart(0)];
        case '30d':
            return [dayStart(29), now];
        case 'days':
            return [
                new Date(`${query.from}T00:00`).getTime() || dayStart(6),
                (new Date(`${query.to}T00:00`).getTime() || dayStart(0)) + DAY,
            ];
        default:
            return [dayStart(6), now];
    }
}

const day = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 10);

export default function Reports(props: PageProps) {
    const { rest, go } = props,
        at = rest[0] === 'tls' && may('mail') ? 'tls' : 'figures';
    return (
        <>
            <PageHead title={t('nav.reports')} help={t('reports.help')} />
            {may('mail') && (
                <Tabs
                    label={t('nav.reports')}
                    at={at}
                    onSelect={(x) => go(x === 'tls' ? [x] : [])}
                    tabs={[
                        ['figures', t('reports.figures')],
                        ['tls', t('tls_report.tab')],
                    ]}
                />
            )}
            {at === 'tls' ? <TlsReport /> : <Figures {...props} />}
        </>
    );
}

function Figures({ query, go }: PageProps) {
    const [since, until] = useMemo(() => span(query), [query.period, query.from, query.to]);
    const got = useGet<Statistics>('/v1/statistics', { since, until, limit: 50 });
    const s = got.data,
        total = useMemo(() => (s ? sums(s.hours) : {}), [s]);
    const name = (what: string) => `postern-${what}-${day(since)}-${day(until - 1)}.csv`;
    const period = query.period ?? '7d',
        args = { since, until };
    const setDays = (from: string, to: string) => go([], { period: 'days', from, to }, true);
    return (
        <>
            <div class="stack">
                <section class="panel" aria-label={t('tracking.period')}>
                    <div class="body filters">
                        <SelectField
                            label={t('tracking.period')}
                            value={period}
                            onInput={(p) =>
                                go([], p === 'days' ? { period: p, from: day(since), to: day(until - 1) } : { period: p }, true)
                            }
                            words={(['today', 'yesterday', '7d', '30d', 'days'] as const).map((p) => [p, t(`period.${p}`)])}
                        />
                        {period === 'days' && (
                            <>
                                <Field label={t('reports.from')}>
                                    {(p) => (
                                        <input
                                            {...p}
                                            type="date"
                                            value={query.from}
                                            max={query.to}
                                            onChange={(e) => setDays(e.currentTarget.value, query.to)}
                                        />
                                    )}
                                </Field>
                                <Field label={t('reports.to')}>
                                    {(p) => (
                                        <input
                                            {...p}
                                            type="date"
                                            value={query.to}
                                            min={query.from}
                                            onChange={(e) => setDays(query.from, e.currentTarget.value)}
                                        />
                                    )}
                                </Field>
                            </>
                        )}
                    </div>
                </section>
                {got.error && <Failed error={got.error} retry={got.reload} />}
                {!s && got.busy && <Busy />}
                {s && (
                    <>
                        <Panel
                            title={t('reports.mail')}
                            actions={
                                <CsvButton
                                    run={() =>
                                        save(
                                            name('mail'),
                                            csv(
                                                ['time', 'accepted', ...outcomes],
                                                s.hours.map((h) => [
                                                    new Date(h.time).toISOString(),
                                                    h.accepted ?? 0,
                                                    ...outcomes.map((o) => h[o] ?? 0),
                                                ]),
                                            ),
                                            'text/csv;charset=utf-8',
                                        )
                                    }
                                />
                            }
                        >
                            <StackedBars bars={bars(s, since, Math.min(until, Date.now()))} series={stacked()} label={t('reports.mail')} />
                            <Legend
                                series={[{ id: 'accepted', title: t('outcome.accepted') }, ...series()]}
                                counts={total}
                                href={may('mail') ? (id) => href(['tracking'], { ...args, outcome: id }) : undefined}
                            />
                        </Panel>
                        <ChecksPanel s={s} file={name('checks')} args={args} />
                        <div class="masonry">
                            {topLists.map((l) => (
                                <Panel
                                    title={topTitle(l)}
                                    key={l}
                                    actions={
                                        s.top[l]?.length ? (
                                            <CsvButton
                                                run={() =>
                                                    save(
                                                        name(l),
                                                        csv(
                                                            [l, 'n'],
                                                            s.top[l].map((x) => [x.key, x.n]),
                                                        ),
                                                        'text/csv;charset=utf-8',
                                                    )
                                                }
                                            />
                                        ) : undefined
                                    }
                                >
                                    <Ranks of={s.top[l] ?? []} nameOf={l === 'destinations' ? hopName : undefined} href={may('mail') ? (k) => topHref(l, k, args) : undefined} />
                                </Panel>
                            ))}
                        </div>
                    </>
                )}
            </div>
        </>
    );
}

function CsvButton({ run }: { run: () => void }) {
    return (
        <button type="button" onClick={run}>
            <Icon name="download" size={16} />
            CSV
        </button>
    );
}

function ChecksPanel({ s, file, args }: { s: Statistics; file: string; args: Record<string, number> }) {
    type Row = CheckCounts & { stage: string };
    const rows = useMemo(() => s.stages.flatMap((g) => g.checks.map((c): Row => ({ ...c, stage: g.stage }))), [s]);
    const shown = ['seen', 'pass', ...acts.filter((a) => rows.some((r) => count(r, a)))];
    const head = (a: string) => (a === 'seen' ? t('reports.seen') : tWord('outcome', a));
    return (
        <Panel
            title={t('checks.title')}
            flush
            actions={
                <CsvButton
                    run={() =>
                        save(
                            file,
                            csv(
                                ['stage', 'check', 'seen', 'pass', ...acts, 'ms_each'],
                                rows.map((r) => [
                                    r.stage,
                                    r.check,
                                    count(r, 'seen'),
                                    count(r, 'pass'),
                                    ...acts.map((a) => count(r, a)),
                                    each(r).toFixed(2),
                                ]),
                            ),
                            'text/csv;charset=utf-8',
                        )
                    }
                />
            }
        >
            <Table
                label={t('checks.title')}
                rows={rows}
                keyOf={(r) => `${r.stage} ${r.check}`}
                columns={[
                    { id: 'stage', title: t('checks.stage'), sort: (r) => r.stage, cell: (r) => tWord('stage', r.stage) },
                    {
                        id: 'check',
                        title: t('checks.check'),
                        sort: (r) => r.check,
                        cell: (r) =>
                            may('mail') ? <a href={href(['tracking'], { ...args, check: r.check, stage: r.stage })}>{r.check}</a> : r.check,
                    },
                    ...shown.map((a) => ({
                        id: a,
                        title: head(a),
                        num: true,
                        sort: (r: Row) => count(r, a),
                        cell: (r: Row) => (count(r, a) ? number(count(r, a)) : ''),
                        wideOnly: a === 'pass',
                    })),
                    { id: 'ms', title: t('reports.ms'), num: true, sort: (r) => each(r), cell: (r) => number(each(r), 1), wideOnly: true },
                ]}
            />
        </Panel>
    );
}
