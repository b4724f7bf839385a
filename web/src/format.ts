// SPDX-License-Identifier: Apache-2.0
// Sizes, durations and times as people read them, and CSV files.
import { locale, number, t } from './i18n';

/** 4300 → "4.2 KiB". */
export function size(bytes: number): string {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let i = 0;
    while (bytes >= 1024 && i < units.length - 1) {
        bytes /= 1024;
        i++;
    }
    return `${number(bytes, i && bytes < 100 ? 1 : 0)} ${units[i]}`;
}

/** Milliseconds → "350 ms", "4.2 s", "3 min", "5 h", "2 d". */
export function duration(ms: number): string {
    if (ms < 1000) return t('unit.ms', { v: number(ms, ms < 10 ? 1 : 0) });
    if (ms < 60000) return t('unit.s', { v: number(ms / 1000, ms < 10000 ? 1 : 0) });
    if (ms < 3600000) return t('unit.min', { v: number(Math.floor(ms / 60000)) });
    if (ms < 172800000) return t('unit.h', { v: number(Math.floor(ms / 3600000)) });
    return t('unit.d', { v: number(Math.floor(ms / 86400000)) });
}

/** "host:192.0.2.7:25" → "192.0.2.7:25": what most next hops are need not be said. */
export const hopName = (key: string) => key.replace(/^host:/, '');

/** The full time, for titles and details. */
export function fullTime(ms: number): string {
    return new Date(ms).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' });
}

/** Of today the time only, of this year without the year. */
export function shortTime(ms: number): string {
    const d = new Date(ms),
        now = new Date();
    if (d.toDateString() === now.toDateString())
        return d.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit', second: '2-digit' });
    const year = d.getFullYear() === now.getFullYear() ? undefined : '2-digit';
    return d.toLocaleString(locale(), { year, month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' });
}

/** A cell that a spreadsheet would take for a formula gets an apostrophe in front. */
function csvCell(v: unknown): string {
    let s = v === undefined || v === null ? '' : String(v);
    if (typeof v !== 'number' && /^[=+\-@\t\r]/.test(s)) s = `'${s}`;
    return /[",\r\n;]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s;
}

export function csv(head: string[], rows: unknown[][]): string {
    return [head, ...rows].map((r) => r.map(csvCell).join(',')).join('\r\n') + '\r\n';
}

/** Gives the reader what is at an address as a file. */
export function download(name: string, address: string): void {
    const a = document.createElement('a');
    a.href = address;
    a.download = name;
    a.click();
}

export function save(name: string, content: string | Blob, type = 'text/plain;charset=utf-8'): void {
    const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    download(name, address);
    setTimeout(() => URL.revokeObjectURL(address), 10000);
}
