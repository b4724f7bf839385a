// SPDX-License-Identifier: Apache-2.0
// What the relay tells by itself: figures every two seconds. One stream for all who use them.
import { useEffect } from 'preact/hooks';
import { loadSession } from './api';
import { watched } from './watched';

export interface LiveStatus {
    queue?: { messages?: number; incoming?: number; active?: number; deferred?: number; held?: number; connections?: number };
    counts?: Record<string, unknown>;
    server?: Record<string, number>;
    live?: LiveCounts;
}
/** What was counted within the last `ms`, and what the present hour has so far. */
export interface LiveCounts {
    ms?: number;
    /** Of the last 60 seconds. */
    minute?: Record<string, number>;
    counts?: Record<string, number>;
    checks?: { stage: string; check: string; outcome: string; n: number }[];
    hour?: Record<string, number>;
}

const { tell, use } = watched();
let users = 0;
let source: EventSource | null = null,
    retry: ReturnType<typeof setTimeout> | undefined;
let last: LiveStatus | undefined,
    connected = false,
    lost: ReturnType<typeof setTimeout> | undefined;

const MINUTE = 60000;
let samples: { at: number; accepted: number }[] = []; /* connections so far, of a little more than a minute */

function sample(status: LiveStatus) {
    const at = Date.now(), accepted = status.server?.accepted ?? 0, newest = samples[samples.length - 1];
    if (newest && (at - newest.at > MINUTE / 4 || accepted < newest.accepted)) samples = []; /* the stream had a gap, or counters began anew */
    samples.push({ at, accepted });
    while (samples.length > 2 && at - samples[1]!.at >= MINUTE) samples.shift();
}

/** Connections of the last minute; undefined while it was not watched so long. */
export function connectionsAMinute(): number | undefined {
    const first = samples[0], newest = samples[samples.length - 1];
    return first && newest && newest.at - first.at >= MINUTE ? ((newest.accepted - first.accepted) * MINUTE) / (newest.at - first.at) : undefined;
}

function parse(e: Event): LiveStatus | undefined {
    try {
        return JSON.parse((e as MessageEvent<string>).data);
    } catch {
        return undefined;
    }
}

/** Streams end now and then, and are opened again at once: only what takes longer is told. */
const LOST_MS = 8000;

function setConnected(to: boolean) {
    clearTimeout(lost);
    if (connected === to) return;
    connected = to;
    tell();
}

function open() {
    clearTimeout(retry);
    source = new EventSource('v1/events');
    source.addEventListener('open', () => setConnected(true));
    source.addEventListener('status', (e) => {
        last = parse(e);
        if (last) sample(last);
        setConnected(true);
        tell();
    });
    source.addEventListener('error', () => {
        clearTimeout(lost);
        lost = setTimeout(() => setConnected(false), LOST_MS);
        if (source?.readyState !== EventSource.CLOSED) return; /* else the browser tries again by itself */
        source = null;
        void loadSession({ background: true }).catch(() => undefined); /* perhaps the session is over */
        retry = setTimeout(open, 10000);
    });
}

function close() {
    source?.close();
    source = null;
    clearTimeout(retry);
    clearTimeout(lost);
    connected = false;
}

/** The latest figures; connected: they are fresh. */
export function useLive(): { status: LiveStatus | undefined; connected: boolean } {
    use();
    useEffect(() => {
        if (!users++) open();
        return () => void (--users || close());
    }, []);
    return { status: last, connected };
}
