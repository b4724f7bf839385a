// SPDX-License-Identifier: Apache-2.0
// Sizes and times as the configuration writes them ("30M", "1h 30m"), and said in words.
import type { Tree } from './tree';

const SIZE = /^([0-9]+) ?(?:([KMGT])i?)?b?$/i;
const POWERS = ['', 'K', 'M', 'G', 'T'];
const SPAN = /^(?:[0-9]+(?:ms|s|m|h|d|w) ?)+$/;
const MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

// Bytes; NaN: it is none.
export function parseSize(text: string): number {
    const found = SIZE.exec(text.trim());
    if (!found) return NaN;
    return Number(found[1]) * 1024 ** POWERS.indexOf((found[2] ?? '').toUpperCase());
}

// Milliseconds; NaN: it is none.
export function parseTime(text: string): number {
    const t = text.trim();
    if (t === '0') return 0;
    if (!SPAN.test(t)) return NaN;
    let sum = 0;
    for (const part of t.matchAll(/([0-9]+)(ms|s|m|h|d|w)/g)) sum += Number(part[1]) * (MS[part[2] as string] as number);
    return sum;
}

export function formatSize(bytes: number): string {
    let power = 0;
    while (power < 4 && bytes > 0 && bytes % 1024 === 0) {
        bytes /= 1024;
        power++;
    }
    return `${bytes}${POWERS[power]}`;
}

export function formatTime(ms: number): string {
    if (ms === 0) return '0';
    for (const unit of ['d', 'h', 'm', 's']) {
        const one = MS[unit] as number;
        if (ms % one === 0) return `${ms / one}${unit}`;
    }
    return `${ms}ms`;
}

const NAMES: Record<string, Record<string, [string, string]>> = {
    en: { w: ['week', 'weeks'], d: ['day', 'days'], h: ['hour', 'hours'], m: ['minute', 'minutes'], s: ['second', 'seconds'],
          ms: ['millisecond', 'milliseconds'] },
    de: { w: ['Woche', 'Wochen'], d: ['Tag', 'Tage'], h: ['Stunde', 'Stunden'], m: ['Minute', 'Minuten'], s: ['Sekunde', 'Sekunden'],
          ms: ['Millisekunde', 'Millisekunden'] },
};

// "2 hours 30 minutes"
export function sayTime(ms: number, language: string): string {
    const names = NAMES[language] ?? NAMES.en!;
    const out: string[] = [];
    for (const unit of ['d', 'h', 'm', 's', 'ms']) {
        const one = MS[unit] as number;
        const n = Math.floor(ms / one);
        if (!n) continue;
        ms -= n * one;
        out.push(`${n.toLocaleString(language)} ${names[unit]![n === 1 ? 0 : 1]}`);
    }
    return out.join(' ') || '0';
}

// "30 MiB (31,457,280 bytes)"
export function saySize(bytes: number, language: string): string {
    let n = bytes, power = 0;
    while (n >= 1024 && power < 4) {
        n /= 1024;
        power++;
    }
    const count = `${bytes.toLocaleString(language)} ${language === 'de' ? 'Bytes' : 'bytes'}`;
    if (!power) return count;
    return `${n.toLocaleString(language, { maximumFractionDigits: 2 })} ${POWERS[power]}iB (${count})`;
}

// The words that YAML readers take for a truth value.
export function asBool(value: Tree | undefined): boolean | undefined {
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'string') return undefined;
    const word = value.toLowerCase();
    if (['yes', 'on', 'true'].includes(word)) return true;
    if (['no', 'off', 'false'].includes(word)) return false;
    return undefined;
}
