// SPDX-License-Identifier: Apache-2.0
// The certificates of GET /v1/keys, and how soon they end; of dashboard and keys.
import type { Tone } from '../components';

export interface Certificate {
    name: string;
    file: string;
    subject?: string;
    names?: string[];
    issuer?: string;
    not_after?: number;
    self_signed?: boolean;
    error?: string;
}

const DAY = 86400000;

/** Whole days until it ends; negative: it has ended. */
export const daysLeft = (c: Certificate) => Math.floor(((c.not_after ?? Infinity) - Date.now()) / DAY);

export function certificateTone(c: Certificate): Tone {
    const days = daysLeft(c);
    return c.error || days < 14 ? 'bad' : days < 30 ? 'warn' : 'ok';
}
