// SPDX-License-Identifier: Apache-2.0
// The way of mail through the checks as a picture: each stage with its checks, what left it downwards, what went on to the right. Every number
// leads to its messages.
import { number, t, tWord } from '../i18n';
import type { LiveCounts } from '../live';
import { href } from '../router';
import type { Query } from '../router';
import { stages } from './mail';
import { acts, count, each } from './statistics';
import type { CheckCounts, Statistics } from './statistics';

const colours: Record<string, string> = {
    reject: 'refused',
    defer: 'deferred',
    quarantine: 'quarantined',
    discard: 'discarded',
    hold: 'bounced',
};
const exits = ['reject', 'defer', 'quarantine', 'discard', 'hold'];
const W = 144,
    GAP = 18,
    LINE = 19,
    TOP = 65,
    SHOWN = 7;

interface StageBox {
    stage: string;
    checks: CheckCounts[];
    more: number;
    seen: number;
    out: [string, number][];
}

/** The busiest checks of a stage; the others are counted. */
function box(s: Statistics['stages'][number]): StageBox {
    const acted = (c: CheckCounts) => acts.reduce((sum, a) => sum + count(c, a), 0);
    const checks = [...s.checks].sort((a, b) => acted(b) - acted(a) || count(b, 'seen') - count(a, 'seen'));
    const out = exits.map((e): [string, number] => [e, s.checks.reduce((sum, c) => sum + count(c, e), 0)]).filter(([, n]) => n);
    return {
        stage: s.stage,
        checks: checks.slice(0, SHOWN),
        more: Math.max(0, checks.length - SHOWN),
        seen: Math.max(0, ...s.checks.map((c) => count(c, 'seen'))),
        out,
    };
}

/** How many of the last minutes a stage has looked at: the busiest of its checks. */
function lately(live: LiveCounts | undefined, stage: string): number {
    const seen: Record<string, number> = {};
    for (const c of live?.checks ?? []) if (c.stage === stage) seen[c.check] = (seen[c.check] ?? 0) + c.n;
    return Math.max(0, ...Object.values(seen));
}

function Lately({ n, live }: { n: number; live: LiveCounts | undefined }) {
    return n ? (
        <text class="stage-n live" x={W - 10} y="21" text-anchor="end">
            <title>{t('scheme.lately', { n, minutes: Math.round((live?.ms ?? 0) / 60000) })}</title>
            {`+${number(n)}`}
        </text>
    ) : null;
}

export function Scheme({
    of,
    accepted,
    delivered,
    args,
    live,
}: {
    of: Statistics['stages'];
    accepted: number;
    delivered: number;
    args: Query;
    live: LiveCounts | undefined;
}) {
    const boxes = [...of].sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage)).map(box);
    const rows = Math.max(1, ...boxes.map((b) => b.checks.length + (b.more ? 1 : 0)));
    const h = TOP - 6 + rows * LINE,
        outs = Math.max(0, ...boxes.map((b) => b.out.length)),
        height = h + 8 + (outs ? 22 + outs * 24 : 0);
    const width = (boxes.length + 1) * (W + GAP) - GAP + 4;
    const label = boxes
        .map((b) => `${tWord('stage', b.stage)}: ${b.out.map(([e, n]) => `${tWord('outcome', e)} ${number(n)}`).join(', ') || '–'}`)
        .join('; ');
    return (
        <div class="scheme-box">
            <svg class="scheme" viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="group" aria-label={label}>
                <defs>
                    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">
                        <path d="M0 0l8 4-8 4z" class="tip" />
                    </marker>
                </defs>
                {boxes.map((b, i) => (
                    <Stage key={b.stage} b={b} x={i * (W + GAP) + 2} h={h} args={args} live={live} />
                ))}
                {boxes.map((b, i) => (
                    <path key={b.stage} class="flow" d={`M${i * (W + GAP) + W + 4} 24h${GAP - 5}`} marker-end="url(#tip)" />
                ))}
                <End x={boxes.length * (W + GAP) + 2} h={h} accepted={accepted} delivered={delivered} args={args} live={live} />
            </svg>
        </div>
    );
}

function Stage({
    b,
    x,
    h,
    args,
    live,
}: {
    b: StageBox;
    x: number;
    h: number;
    args: Query;
    live: LiveCounts | undefined;
}) {
    return (
        <g transform={`translate(${x} 2)`}>
            <rect class="stage" width={W} height={h} rx="7" />
            <a href={href(['tracking'], { ...args, stage: b.stage })}>
                <text class="stage-name" x="11" y="21">
                    {tWord('stage', b.stage)}
                </text>
                <text class="stage-n" x="11" y="38">
                    {b.seen ? t('scheme.seen', { n: b.seen }) : ''}
                </text>
                <Lately n={lately(live, b.stage)} live={live} />
            </a>
            <line class="rule" x1="0" x2={W} y1="47" y2="47" />
            {b.checks.map((c, k) => (
                <CheckLine key={c.check} c={c} y={TOP + k * LINE} stage={b.stage} args={args} />
            ))}
            {b.more > 0 && (
                <text class="quiet" x="11" y={TOP + b.checks.length * LINE}>
                    {t('scheme.more', { n: b.more })}
                </text>
            )}
            {!b.checks.length && (
                <text class="quiet" x="11" y={TOP}>
                    {t('scheme.nothing')}
                </text>
            )}
            {b.out.length > 0 && <path class="flow" d={`M${W / 2} ${h + 1}v20`} marker-end="url(#tip)" />}
            {b.out.map(([what, n], k) => (
                <a key={what} href={href(['tracking'], { ...args, stage: b.stage, result: what })}>
                    <rect class="out" x="8" y={h + 24 + k * 24} width={W - 16} height="21" rx="5" />
                    <rect class={`fill-${colours[what]}`} x="8" y={h + 24 + k * 24} width="5" height="21" rx="2" />
                    <text x="20" y={h + 39 + k * 24}>
                        {tWord('outcome', what)}
                    </text>
                    <text class="n" x={W - 15} y={h + 39 + k * 24} text-anchor="end">
                        {number(n)}
                    </text>
                </a>
            ))}
        </g>
    );
}

function CheckLine({ c, y, stage, args }: { c: CheckCounts; y: number; stage: string; args: Query }) {
    const told = acts.map((a): [string, number] => [a, count(c, a)]).filter(([, n]) => n);
    const name = fitted(c.check, told),
        n = told.reduce((sum, [, k]) => sum + k, 0),
        worst = told.find(([a]) => colours[a])?.[0];
    return (
        <a href={href(['tracking'], { ...args, stage, check: c.check, result: worst })}>
            <title>{`${c.check}: ${t('scheme.seen', { n: count(c, 'seen') })}${told.map(([a, k]) => `\n${tWord('outcome', a)}: ${number(k)}`).join('')}${c.ms ? `\n${number(each(c), 1)} ms` : ''}`}</title>
            {worst && <circle class={`fill-${colours[worst]}`} cx="15" cy={y - 4} r="3.5" />}
            <text class={n ? '' : 'quiet'} x="23" y={y}>
                {name}
            </text>
            <text class={n ? 'n' : 'quiet'} x={W - 10} y={y} text-anchor="end">
                {n ? number(n) : ''}
            </text>
        </a>
    );
}

/** As much of a name as there is room for beside its number. */
function fitted(name: string, told: [string, number][]): string {
    const n = told.reduce((sum, [, k]) => sum + k, 0),
        room = Math.floor((W - 23 - 14 - (n ? number(n).length * 7.6 : 0)) / 7.1);
    return name.length > room ? `${name.slice(0, room - 1)}…` : name;
}

function End({
    x,
    h,
    accepted,
    delivered,
    args,
    live,
}: {
    x: number;
    h: number;
    accepted: number;
    delivered: number;
    args: Query;
    live: LiveCounts | undefined;
}) {
    return (
        <g transform={`translate(${x} 2)`}>
            <rect class="stage end" width={W} height={h} rx="7" />
            <a href={href(['tracking'], { ...args, outcome: 'accepted' })}>
                <text class="stage-name" x="11" y="21">
                    {t('outcome.accepted')}
                </text>
                <text class="stage-n" x="11" y="38">
                    {number(accepted)}
                </text>
                <Lately n={live?.counts?.accepted ?? 0} live={live} />
            </a>
            <line class="rule" x1="0" x2={W} y1="47" y2="47" />
            <a href={href(['tracking'], { ...args, outcome: 'delivered' })}>
                <circle class="fill-delivered" cx="15" cy={TOP - 4} r="3.5" />
                <text x="24" y={TOP}>
                    {t('outcome.delivered')}
                </text>
                <text class="n" x={W - 10} y={TOP} text-anchor="end">
                    {number(delivered)}
                </text>
            </a>
            <a href={href(['queue'])}>
                <text x="24" y={TOP + LINE}>
                    {t('nav.queue')}
                </text>
            </a>
        </g>
    );
}
