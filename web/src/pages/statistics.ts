// SPDX-License-Identifier: Apache-2.0
// GET /v1/statistics, and sums of it; of dashboard and reports.
import type { Bar, Series } from '../components';
import { locale, t, tWord } from '../i18n';
import { href } from '../router';
import type { Query } from '../router';

export interface CheckCounts {
    check: string;
    ms?: number;
    [outcome: string]: number | string | undefined;
}
export interface Statistics {
    step: number;
    hours: Record<string, number>[];
    stages: { stage: string; checks: CheckCounts[] }[];
    top: Record<string, { key: string; n: number }[]>;
}

/** What becomes of mail. "accepted" is counted besides; "deferred" counts attempts, so that it is no part of a bar. */
export const outcomes = ['delivered', 'deferred', 'bounced', 'quarantined', 'discarded', 'refused'] as const;
export const series = (): Series[] => outcomes.map((id) => ({ id, title: id === 'deferred' ? t('dashboard.put_off') : tWord('outcome', id) }));
export const stacked = (): Series[] => series().filter((x) => x.id !== 'deferred');
export const topLists = ['reasons', 'senders', 'recipients', 'clients', 'destinations', 'viruses'] as const;
/** What a check may do to a message, apart from letting it pass. */
export const acts = ['reject', 'defer', 'quarantine', 'discard', 'hold', 'tag', 'score'] as const;

export const count = (c: CheckCounts, what: string) => Number(c[what] ?? 0);

/** Milliseconds it takes, on average. */
export const each = (c: CheckCounts) => (count(c, 'seen') ? count(c, 'ms') / count(c, 'seen') : 0);

export function sums(hours: Record<string, number>[]): Record<string, number> {
    const all: Record<string, number> = {};
    for (const h of hours) for (const [k, v] of Object.entries(h)) if (k !== 'time') all[k] = (all[k] ?? 0) + v;
    return all;
}

/** With the present hour as it is by now. */
export function withHour(s: Statistics, hour: Record<string, number> | undefined): Statistics {
    if (!hour?.time) return s;
    const at = s.hours.findIndex((h) => h.time === hour.time);
    if (at < 0 && s.hours.some((h) => h.time > hour.time!)) return s;
    const newest = Object.fromEntries(Object.entries(hour).map(([k, v]) => [k, Math.max(v, s.hours[at]?.[k] ?? 0)]));
    return { ...s, hours: at < 0 ? [...s.hours, newest] : s.hours.map((h, i) => (i === at ? newest : h)) };
}

/** Bars of an hour, or of a day when they are many; hours without mail are there as well. */
export function bars(s: Statistics, since: number, until: number): Bar[] {
    const daily = until - since > 4 * 86400000,
        step = daily ? 86400000 : s.step || 3600000;
    const floor = (ms: number) => {
        const d = new Date(ms);
        if (daily) d.setHours(0, 0, 0, 0);
        else return ms - (ms % step);
        return d.getTime();
    };
    const all = new Map<number, Record<string, number>>();
    for (let at = floor(since); at < until; at = floor(at + step + (daily ? step / 2 : 0))) all.set(at, {});
    for (const h of s.hours) {
        const sum = all.get(floor(h.time)) ?? {};
        for (const [k, v] of Object.entries(h)) if (k !== 'time') sum[k] = (sum[k] ?? 0) + v;
        all.set(floor(h.time), sum);
    }
    return [...all]
        .sort(([a], [b]) => a - b)
        .map(([time, values]) => {
            const d = new Date(time);
            return {
                label: daily
                    ? d.toLocaleDateString(locale(), { day: '2-digit', month: '2-digit' })
                    : d.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' }),
                title: d.toLocaleString(locale(), daily ? { dateStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' }),
                values,
                href: href(['tracking'], { since: time, until: time + step }),
            };
        });
}

/** Where the messages behind a line of a top list are. */
export function topHref(list: string, key: string, args: Query): string | undefined {
    const by: Record<string, string> = {
        reasons: 'reason',
        senders: 'sender',
        recipients: 'recipient',
        clients: 'client',
        viruses: 'reason',
    };
    if (list === 'destinations') return href(['queue'], { destination: key });
    return by[list] && href(['tracking'], { ...args, [by[list]]: key });
}

export const topTitle = (list: (typeof topLists)[number]) => t(`top.${list}`);
