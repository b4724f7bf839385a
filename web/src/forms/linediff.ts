// SPDX-License-Identifier: Apache-2.0
// What differs between two texts, as a unified diff; for texts of a few thousand lines.

const AROUND = 3;      // lines of context
const CELLS = 4000000; // more work than this is not done: the whole middle is shown as replaced

/** A unified diff the other way round; what is called before and after is named anew. */
export function inverseDiff(diff: string, before: string, after: string): string {
    const out: string[] = [], added: string[] = [];
    let inside = false;
    const flush = () => out.push(...added.splice(0));
    if (diff.trim()) out.push(`--- ${before}`, `+++ ${after}`);
    for (const line of diff.replace(/\n$/, '').split('\n')) {
        if (!inside && (line.startsWith('--- ') || line.startsWith('+++ '))) continue;
        if (line.startsWith('@@')) {
            flush();
            inside = true;
            out.push(line.replace(/^@@ -(\S+) \+(\S+) @@/, '@@ -$2 +$1 @@'));
        } else if (line.startsWith('-')) added.push(`+${line.slice(1)}`);
        else if (line.startsWith('+')) out.push(`-${line.slice(1)}`);
        else {
            flush();
            out.push(line);
        }
    }
    flush();
    return out.join('\n');
}

type Line = [' ' | '-' | '+', string];

function middle(a: string[], b: string[]): Line[] {
    if (a.length * b.length > CELLS) return [...a.map((l): Line => ['-', l]), ...b.map((l): Line => ['+', l])];
    const width = b.length + 1, table = new Uint32Array((a.length + 1) * width); /* longest common part from i, j on */
    for (let i = a.length - 1; i >= 0; i--)
        for (let j = b.length - 1; j >= 0; j--)
            table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    const out: Line[] = [];
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) {
            out.push([' ', a[i++]]);
            j++;
        } else if (i < a.length && (j === b.length || table[(i + 1) * width + j] >= table[i * width + j + 1])) out.push(['-', a[i++]]);
        else out.push(['+', b[j++]]);
    }
    return out;
}

export function lineDiff(before: string, after: string): string {
    const a = before.split('\n'), b = after.split('\n');
    let head = 0, tail = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head++;
    while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const lines: Line[] = [...a.slice(0, head).map((l): Line => [' ', l]), ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
        ...a.slice(a.length - tail).map((l): Line => [' ', l])];
    const near = new Set<number>();
    lines.forEach(([mark], i) => {
        if (mark !== ' ') for (let k = i - AROUND; k <= i + AROUND; k++) near.add(k);
    });
    const out: string[] = [];
    let from = 1, shown = true;
    lines.forEach(([mark, text], i) => {
        if (near.has(i)) {
            if (!shown || !out.length) out.push(`@@ ${from} @@`);
            out.push(mark + text);
        }
        shown = near.has(i);
        if (mark !== '+') from++;
    });
    return out.join('\n');
}
