// SPDX-License-Identifier: Apache-2.0
// Small pieces that every page uses. What comes from mail is always shown as text.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api';
import { duration, fullTime, shortTime, size } from '../format';
import { t, tWord } from '../i18n';
import { Icon } from './icons';

export * from './fields';

export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'held' | '';

export function Badge({ tone = '', children, title }: { tone?: Tone; children: ComponentChildren; title?: string }) {
    return (
        <span class={`badge ${tone}`} title={title}>
            {children}
        </span>
    );
}

const tones: Record<string, Tone> = {
    delivered: 'ok',
    released: 'ok',
    accepted: 'ok',
    pass: 'ok',
    ok: 'ok',
    ham: 'ok',
    queued: 'info',
    resumed: 'info',
    incoming: 'info',
    active: 'info',
    deferred: 'warn',
    defer: 'warn',
    tempfail: 'warn',
    refused_now: 'warn',
    warning: 'warn',
    tag: 'info',
    held: 'held',
    hold: 'held',
    quarantined: 'held',
    quarantine: 'held',
    bounced: 'bad',
    refused: 'bad',
    reject: 'bad',
    rejected: 'bad',
    error: 'bad',
    failed: 'bad',
    spam: 'bad',
    virus: 'bad',
};

/** A state or outcome by its word: coloured, in the reader's language. code: what was replied; after a 4xx the client may come again. */
export function Outcome({ word, code = 0 }: { word: string; code?: number }) {
    const shown = word === 'refused' && code >= 400 && code < 500 ? 'refused_now' : word;
    return <Badge tone={tones[shown] ?? ''}>{tWord('outcome', shown)}</Badge>;
}

export function Time({ ms, full }: { ms: number | null | undefined; full?: boolean }) {
    if (!ms) return <>–</>;
    return (
        <time dateTime={new Date(ms).toISOString()} title={fullTime(ms)} class="nowrap">
            {full ? fullTime(ms) : shortTime(ms)}
        </time>
    );
}

/** "5 min ago", "in 3 h", "just now". */
export function Ago({ ms }: { ms: number | null | undefined }) {
    if (!ms) return <>–</>;
    const d = ms - Date.now();
    return (
        <time dateTime={new Date(ms).toISOString()} title={fullTime(ms)} class="nowrap">
            {Math.abs(d) < 1000 ? t('time.now') : t(d > 0 ? 'time.in' : 'time.ago', { d: duration(Math.abs(d)) })}
        </time>
    );
}

export function Size({ bytes }: { bytes: number | null | undefined }) {
    return <span class="nowrap">{typeof bytes === 'number' ? size(bytes) : '–'}</span>;
}

export function Busy() {
    return (
        <div class="busy" role="status">
            <span class="spin" aria-hidden="true" /> {t('common.busy')}
        </div>
    );
}

export function Empty({ children, icon = 'empty' }: { children?: ComponentChildren; icon?: string }) {
    return (
        <div class="empty">
            <Icon name={icon} size={30} />
            <div>{children ?? t('common.empty')}</div>
        </div>
    );
}

/** tone: how bad it is; announced to screen readers when it is bad. */
export function Note({ tone = 'info', children }: { tone?: Tone; children: ComponentChildren }) {
    return (
        <div class={`note ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
            {children}
        </div>
    );
}

export function errorText(e: unknown): string {
    const status = (e as ApiError)?.status;
    if (status === 0) return t('error.network');
    if (status === 403) return t('error.forbidden', { text: (e as Error).message });
    if (status === 503) return t('error.unavailable', { text: (e as Error).message });
    return e instanceof Error ? e.message : String(e);
}

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
    return (
        <Note tone="bad">
            <div class="row">
                <span class="grow">{errorText(error)}</span>
                {retry && (
                    <button type="button" onClick={retry}>
                        {t('common.retry')}
                    </button>
                )}
            </div>
        </Note>
    );
}

export function PageHead({ title, help, children }: { title: ComponentChildren; help?: ComponentChildren; children?: ComponentChildren }) {
    return (
        <div class="page-head">
            <div class="grow">
                <h1>{title}</h1>
                {help && <p>{help}</p>}
            </div>
            {children && <div class="row">{children}</div>}
        </div>
    );
}

export function Panel({
    title,
    actions,
    children,
    flush,
    label,
}: {
    title?: ComponentChildren;
    actions?: ComponentChildren;
    children: ComponentChildren;
    flush?: boolean;
    label?: string;
}) {
    return (
        <section class="panel" aria-label={label ?? (typeof title === 'string' ? title : undefined)}>
            {title && (
                <header>
                    <h2>{title}</h2>
                    {actions}
                </header>
            )}
            {flush ? children : <div class="body">{children}</div>}
        </section>
    );
}

/** Name and value, one below the other; what has no value is left out. */
export function Facts({ of }: { of: [ComponentChildren, ComponentChildren][] }) {
    return (
        <dl class="facts">
            {of
                .filter(([, v]) => v !== undefined && v !== null && v !== '' && v !== false)
                .map(([k, v]) => (
                    <>
                        <dt>{k}</dt>
                        <dd>{v}</dd>
                    </>
                ))}
        </dl>
    );
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
    const [done, setDone] = useState(false);
    const copy = async () => {
        await copyText(text);
        setDone(true);
        setTimeout(() => setDone(false), 1500);
    };
    return (
        <button
            type="button"
            class={label ? '' : 'icon'}
            onClick={copy}
            title={t('common.copy')}
            aria-label={label ? undefined : t('common.copy')}
        >
            <Icon name={done ? 'check' : 'copy'} />
            {label && (done ? t('common.copied') : label)}
        </button>
    );
}

/** Something to be entered elsewhere. */
export function CopyLine({ text }: { text: string }) {
    return <div class="record-value"><code>{text}</code><CopyButton text={text} /></div>;
}

async function copyText(text: string) {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        /* not allowed, or no secure context */
        const area = document.createElement('textarea');
        area.value = text;
        (document.querySelector('dialog[open]') ?? document.body).append(area);
        area.select();
        document.execCommand('copy');
        area.remove();
    }
}

/** current: the component is still there. */
export function useMounted(): { current: boolean } {
    const mounted = useRef(true);
    useEffect(() => () => void (mounted.current = false), []);
    return mounted;
}

/** A button that does something that takes a while: cannot be pressed twice meanwhile. */
export function Action({
    run,
    children,
    class: c,
    disabled,
}: {
    run: () => Promise<unknown> | void;
    children: ComponentChildren;
    class?: string;
    disabled?: boolean;
}) {
    const [busy, setBusy] = useState(false);
    const mounted = useMounted();
    const click = async () => {
        setBusy(true);
        try {
            await run();
        } finally {
            if (mounted.current) setBusy(false);
        }
    };
    return (
        <button type="button" class={c} disabled={disabled || busy} aria-busy={busy} onClick={click}>
            {busy && <span class="spin" aria-hidden="true" />}
            {children}
        </button>
    );
}

/** A form's onSubmit where its primary button is an Action: Enter does as the button does, and not while that is busy. */
export function pressPrimary(e: Event): void {
    e.preventDefault();
    (e.currentTarget as HTMLElement).querySelector<HTMLButtonElement>('button.primary')?.click();
}

/** tabs: [id, title]. What belongs to the one at hand is drawn by the caller. */
export function Tabs({
    tabs,
    at,
    onSelect,
    label,
}: {
    tabs: [string, ComponentChildren][];
    at: string;
    onSelect: (id: string) => void;
    label: string;
}) {
    const box = useRef<HTMLDivElement>(null);
    useEffect(() => {
        /* where they do not all fit */
        const all = box.current!,
            here = all.querySelector<HTMLElement>('[aria-selected=true]');
        if (here && all.scrollWidth > all.clientWidth) all.scrollLeft = here.offsetLeft - all.offsetLeft - (all.clientWidth - here.offsetWidth) / 2;
    }, [at]);
    const reached = tabs.some(([id]) => id === at) ? at : tabs[0]?.[0]; /* by the Tab key, where none is at hand, too */
    const key = (e: KeyboardEvent) => {
        const i = tabs.findIndex(([id]) => id === at),
            n = tabs.length;
        const to = e.key === 'ArrowRight' ? (i + 1) % n : e.key === 'ArrowLeft' ? (i + n - 1) % n : -1;
        if (to < 0) return;
        e.preventDefault();
        onSelect(tabs[to][0]);
        ((e.currentTarget as HTMLElement).children[to] as HTMLElement).focus();
    };
    return (
        <div class="tabs" ref={box} role="tablist" aria-label={label} onKeyDown={key}>
            {tabs.map(([id, title]) => (
                <button
                    type="button"
                    role="tab"
                    key={id}
                    aria-selected={id === at}
                    tabIndex={id === reached ? 0 : -1}
                    onClick={() => onSelect(id)}
                >
                    {title}
                </button>
            ))}
        </div>
    );
}

/** A unified diff. */
export function Diff({ text }: { text: string }) {
    if (!text.trim()) return <p class="dim">{t('diff.none')}</p>;
    const lines = text.replace(/\n$/, '').split('\n');
    return (
        <div class="diff" role="region" tabIndex={0} aria-label={t('diff.label')}>
            {lines.map((l) => (
                <div class={/^(---|\+\+\+|@@)/.test(l) ? 'at' : l[0] === '+' ? 'add' : l[0] === '-' ? 'del' : ''}>{l || ' '}</div>
            ))}
        </div>
    );
}
