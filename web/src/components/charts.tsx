// SPDX-License-Identifier: Apache-2.0
// Charts as SVG: stacked bars over time, and ranks. Each has its numbers as text for those who do not see it.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useLanguage, number, t } from '../i18n';

export interface Series {
    /** Also the colour: class fill-ID. */
    id: string;
    title: string;
}
export interface Bar {
    label: string;
    title: string;
    values: Record<string, number>;
    href?: string;
}

/** The next round number. */
function nice(n: number): number {
    const base = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
    return [1, 2, 3, 4, 5, 6, 8, 10].map((f) => f * base).find((v) => v >= n) ?? n;
}

export function StackedBars({ bars, series, label }: { bars: Bar[]; series: Series[]; label: string }) {
    useLanguage();
    const box = useRef<HTMLElement>(null),
        [w, setWidth] = useState(860);
    useLayoutEffect(() => {
        /* drawn in the width there is: letters keep their size */
        const watch = new ResizeObserver(() => setWidth(Math.max(240, box.current?.clientWidth ?? 860)));
        watch.observe(box.current!);
        return () => watch.disconnect();
    }, []);
    const height = 190,
        left = 44,
        bottom = 20,
        top = 8,
        inner = height - bottom - top;
    const max = 4 * nice(Math.max(...bars.map((b) => series.reduce((sum, s) => sum + (b.values[s.id] ?? 0), 0))) / 4); /* four lines, at whole numbers */
    const step = (w - left) / Math.max(1, bars.length),
        every = Math.ceil(bars.length / Math.max(2, Math.floor((w - left) / 72)));
    const y = (v: number) => top + inner - (v / max) * inner;
    return (
        <figure ref={box} class="chart-box">
            <svg class="chart" viewBox={`0 0 ${w} ${height}`} width={w} height={height} aria-hidden="true">
                {[0, 0.25, 0.5, 0.75, 1].map((f) => (
                    <g key={f}>
                        <line class="axis" x1={left} x2={w} y1={y(f * max)} y2={y(f * max)} />
                        <text x={left - 6} y={y(f * max) + 4} text-anchor="end">
                            {number(f * max)}
                        </text>
                    </g>
                ))}
                {bars.map((b, i) => {
                    let sum = 0;
                    const x = left + i * step + step * 0.1;
                    const drawn = (
                        <g>
                            <title>{`${b.title}\n${series
                                .filter((s) => b.values[s.id])
                                .map((s) => `${s.title}: ${number(b.values[s.id])}`)
                                .join('\n')}`}</title>
                            <rect x={left + i * step} y={top} width={step} height={inner} fill="transparent" />
                            {series.map((s) => {
                                const v = b.values[s.id] ?? 0;
                                if (!v) return null;
                                sum += v;
                                return (
                                    <rect
                                        key={s.id}
                                        class={`bar fill-${s.id}`}
                                        x={x}
                                        y={y(sum)}
                                        width={step * 0.8}
                                        height={Math.max(0.8, (v / max) * inner)}
                                    />
                                );
                            })}
                        </g>
                    );
                    return (
                        <g key={i}>
                            {b.href ? (
                                <a href={b.href} {...{ tabindex: -1 }}>
                                    {drawn}
                                </a>
                            ) : (
                                drawn
                            )}
                            {i % every === 0 && (
                                <text x={x + step * 0.4} y={height - 5} text-anchor="middle">
                                    {b.label}
                                </text>
                            )}
                        </g>
                    );
                })}
            </svg>
            <div class="hidden-text">
                <table>
                    <caption>{label}</caption>
                    <thead>
                        <tr>
                            <td />
                            {series.map((s) => (
                                <th scope="col" key={s.id}>
                                    {s.title}
                                </th>
                            ))}
                        </tr>
                    </thead>
                    <tbody>
                        {bars.map((b, i) => (
                            <tr key={i}>
                                <th scope="row">{b.title}</th>
                                {series.map((s) => (
                                    <td key={s.id}>{number(b.values[s.id] ?? 0)}</td>
                                ))}
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </figure>
    );
}

export function Legend({ series, counts, href }: { series: Series[]; counts?: Record<string, number>; href?: (id: string) => string }) {
    return (
        <div class="legend">
            {series.map((s) => {
                const inner = (
                    <>
                        <i class={`fill-${s.id}`} />
                        {s.title}
                        {counts && (
                            <>
                                {' '}
                                <b>{number(counts[s.id] ?? 0)}</b>
                            </>
                        )}
                    </>
                );
                return href ? (
                    <a key={s.id} href={href(s.id)}>
                        {inner}
                    </a>
                ) : (
                    <span key={s.id}>{inner}</span>
                );
            })}
        </div>
    );
}

/** The most frequent first, each with a bar behind its name. */
export function Ranks({
    of,
    href,
    nameOf = (k) => k,
}: {
    of: { key: string; n: number }[];
    href?: (key: string) => string | undefined;
    nameOf?: (key: string) => string;
}) {
    if (!of.length) return <p class="dim">{t('common.empty')}</p>;
    const max = Math.max(...of.map((x) => x.n), 1);
    return (
        <div class="ranks">
            {of.map((x) => {
                const inner = (
                    <>
                        <div class="rank-name" title={nameOf(x.key)}>
                            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                                <rect width={(100 * x.n) / max} height="10" />
                            </svg>
                            <span>{nameOf(x.key)}</span>
                        </div>
                        <div class="rank-n">{number(x.n)}</div>
                    </>
                );
                const to = href?.(x.key);
                return to ? (
                    <a key={x.key} href={to}>
                        {inner}
                    </a>
                ) : (
                    <div key={x.key}>{inner}</div>
                );
            })}
        </div>
    );
}
