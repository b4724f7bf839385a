// SPDX-License-Identifier: Apache-2.0
// Tables: sorted, in pages of 10 to begin with, with rows to choose and things to do with them. Keys: up and down, Home and End go through the
// rows, space chooses, Enter opens, "/" goes to the page's search field (marked data-search).
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api';
import { number, t } from '../i18n';
import { Busy, Empty, Failed } from './basics';
import { ask, toast } from './dialog';
import { Icon } from './icons';
import { pageSizes, useLocalPages } from './paging';
import type { Paging } from './paging';

export * from './paging';

export interface Column<T> {
    id: string;
    title: string;
    cell: (row: T) => ComponentChildren;
    /** What rows are sorted by; with `server`: true, and its name is the id. */
    sort?: true | ((row: T) => string | number | null | undefined);
    num?: boolean;
    /** As narrow as its content. */
    tight?: boolean;
    /** Mail addresses: not too narrow. */
    address?: boolean;
    /** Not on phones. */
    wideOnly?: boolean;
}

export type Chosen = { ids: string[] } | { all: true };

/** Something to do with the chosen rows. It asks first, and says for how many. */
export interface Bulk {
    id: string;
    label: string;
    danger?: boolean;
    /** More words for the question, or fields. */
    text?: (n: number, chosen: Chosen) => ComponentChildren;
    /** What it gives is told afterwards. */
    run: (chosen: Chosen, n: number) => Promise<string | void>;
}

export interface TableProps<T> {
    label: string;
    columns: Column<T>[];
    rows: T[] | undefined;
    keyOf: (row: T) => string;
    paging?: Paging;
    /** Of a local table: the column, with "-" in front: downwards. */
    sort?: string;
    bulk?: Bulk[];
    /** May "all N that fit" be chosen? */
    allowAll?: boolean;
    onOpen?: (row: T) => void;
    busy?: boolean;
    error?: ApiError;
    retry?: () => void;
    empty?: ComponentChildren;
    after?: () => void;
}

export function Table<T>(p: TableProps<T>) {
    const local = useLocalPages(p);
    const paging = p.paging ?? local.paging,
        rows = p.paging ? p.rows : local.rows;
    const [chosen, setChosen] = useState<Set<string>>(new Set());
    const [all, setAll] = useState(false);
    const [at, setAt] = useState(0);
    const body = useRef<HTMLTableSectionElement>(null);
    const keys = rows?.map(p.keyOf) ?? [];
    const choosing = !!p.bulk?.length;
    const choose = (key: string, on: boolean) => {
        const next = new Set(all ? keys : chosen);
        if (on) next.add(key);
        else next.delete(key);
        setAll(false);
        setChosen(next);
    };
    const clear = () => {
        setAll(false);
        setChosen(new Set());
    };
    const total = paging.total ?? (paging.page === 0 && !paging.more ? keys.length : undefined);
    useEffect(() => {
        if (all && !total) clear();
    }, [total]);
    const move = (e: KeyboardEvent, i: number, row: T) => {
        if (e.target !== e.currentTarget) return;
        const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: keys.length - 1 }[e.key];
        if (to !== undefined) {
            setAt(Math.max(0, Math.min(keys.length - 1, to)));
            (body.current?.children[Math.max(0, Math.min(keys.length - 1, to))] as HTMLElement)?.focus();
        } else if (e.key === ' ' && choosing) choose(keys[i], !(all || chosen.has(keys[i])));
        else if (e.key === 'Enter' && p.onOpen) p.onOpen(row);
        else return;
        e.preventDefault();
    };
    if (p.error && !rows)
        return (
            <div class="body">
                <Failed error={p.error} retry={p.retry} />
            </div>
        );
    if (!rows) return <Busy />;
    const allHere = keys.length > 0 && keys.every((k) => all || chosen.has(k));
    const n = all ? (total ?? 0) : chosen.size;
    return (
        <>
            {p.error && <Failed error={p.error} retry={p.retry} />}
            {choosing && n > 0 && (
                <BulkBar
                    n={n}
                    all={all}
                    total={p.allowAll ? total : undefined}
                    bulk={p.bulk!}
                    clear={clear}
                    chooseAll={() => setAll(true)}
                    chosen={all ? { all: true } : { ids: [...chosen] }}
                    after={() => {
                        clear();
                        p.after?.();
                    }}
                />
            )}
            <div class={`table-box ${p.busy ? 'fading' : ''}`} aria-busy={p.busy}>
                <table class="cards" role="table" aria-label={p.label}>
                    <thead role="rowgroup">
                        <tr role="row">
                            {choosing && (
                                <th class="tight" role="columnheader">
                                    <input
                                        type="checkbox"
                                        aria-label={t('table.choose_page')}
                                        checked={allHere}
                                        disabled={!keys.length}
                                        onInput={(e) => {
                                            const on = e.currentTarget.checked;
                                            setAll(false);
                                            setChosen((s) => {
                                                const next = new Set(s);
                                                for (const k of keys)
                                                    if (on) next.add(k);
                                                    else next.delete(k);
                                                return next;
                                            });
                                        }}
                                    />
                                </th>
                            )}
                            {p.columns.map((c) => (
                                <Head key={c.id} column={c} paging={paging} />
                            ))}
                        </tr>
                    </thead>
                    <tbody ref={body} role="rowgroup">
                        {rows.map((row, i) => {
                            const key = keys[i],
                                on = all || chosen.has(key);
                            return (
                                <tr
                                    key={key}
                                    role="row"
                                    class={`${on ? 'chosen' : ''} ${p.onOpen ? 'open' : ''}`}
                                    tabIndex={p.onOpen || choosing ? (i === Math.min(at, keys.length - 1) ? 0 : -1) : undefined}
                                    onKeyDown={(e) => move(e, i, row)}
                                    onFocus={() => setAt(i)}
                                    onClick={
                                        p.onOpen &&
                                        ((e) => {
                                            if (
                                                !(e.target as Element).closest('a,button,input,select,label') &&
                                                !getSelection()?.toString()
                                            )
                                                p.onOpen!(row);
                                        })
                                    }
                                >
                                    {choosing && (
                                        <td class="tight" role="cell">
                                            <input
                                                type="checkbox"
                                                tabIndex={-1}
                                                aria-label={t('table.choose', { id: key })}
                                                checked={on}
                                                onInput={(e) => choose(key, e.currentTarget.checked)}
                                            />
                                        </td>
                                    )}
                                    {p.columns.map((c) => (
                                        <td key={c.id} role="cell" data-label={c.title} class={classes(c)}>
                                            {c.cell(row)}
                                        </td>
                                    ))}
                                </tr>
                            );
                        })}
                    </tbody>
                </table>
            </div>
            {!rows.length && (p.empty ?? <Empty />)}
            <Foot paging={paging} shown={keys.length} total={total} />
        </>
    );
}

const classes = (c: Column<never>) =>
    `${c.num ? 'num' : ''} ${c.tight ? 'tight' : ''} ${c.wideOnly ? 'hide-narrow' : ''} ${c.address ? 'address' : ''}`;

function Head<T>({ column: c, paging }: { column: Column<T>; paging: Paging }) {
    const up = paging.sort === c.id,
        down = paging.sort === `-${c.id}`;
    return (
        <th
            scope="col"
            role="columnheader"
            class={classes(c as Column<never>)}
            aria-sort={up ? 'ascending' : down ? 'descending' : undefined}
        >
            {c.sort && paging.onSort ? (
                <button type="button" onClick={() => paging.onSort!(up ? `-${c.id}` : c.id)}>
                    {c.title}
                    {(up || down) && <Icon name={up ? 'up' : 'down'} size={14} />}
                </button>
            ) : (
                c.title || <span class="hidden-text">{t('table.actions')}</span>
            )}
        </th>
    );
}

function Foot({ paging, shown, total }: { paging: Paging; shown: number; total?: number }) {
    const first = paging.page * paging.size;
    if (first === 0 && !paging.more && shown <= pageSizes[0])
        return shown ? (
            <div class="table-foot">
                <span>{t('table.count', { n: shown })}</span>
            </div>
        ) : null;
    return (
        <nav class="table-foot" aria-label={t('table.pages')}>
            <span class="grow">
                {total !== undefined
                    ? t('table.range_of', { from: shown ? first + 1 : 0, to: first + shown, total })
                    : t('table.range', { from: shown ? first + 1 : 0, to: first + shown })}
            </span>
            <label class="row">
                {t('table.page_size')}{' '}
                <select value={paging.size} onInput={(e) => paging.onSize(Number(e.currentTarget.value))}>
                    {pageSizes.map((s) => (
                        <option value={s} key={s}>
                            {s}
                        </option>
                    ))}
                </select>
            </label>
            <span class="row">
                <button
                    type="button"
                    class="icon"
                    disabled={paging.page === 0}
                    aria-label={t('table.previous')}
                    onClick={() => paging.onPage(paging.page - 1)}
                >
                    <Icon name="left" />
                </button>
                <span>{t('table.page', { page: paging.page + 1 })}</span>
                <button
                    type="button"
                    class="icon"
                    disabled={!paging.more}
                    aria-label={t('table.next')}
                    onClick={() => paging.onPage(paging.page + 1)}
                >
                    <Icon name="right" />
                </button>
            </span>
        </nav>
    );
}

function BulkBar({
    n,
    all,
    total,
    bulk,
    clear,
    chooseAll,
    chosen,
    after,
}: {
    n: number;
    all: boolean;
    total?: number;
    bulk: Bulk[];
    clear: () => void;
    chooseAll: () => void;
    chosen: Chosen;
    after: () => void;
}) {
    const start = (b: Bulk) =>
        ask({
            title: t('table.ask', { action: b.label, n }),
            text: b.text?.(n, chosen),
            button: t('table.do', { action: b.label, n: number(n) }),
            danger: b.danger,
            run: async () => {
                const said = await b.run(chosen, n);
                after();
                if (said) toast(said);
            },
        });
    return (
        <div class="bulk" role="region" aria-label={t('table.chosen_label')}>
            <b aria-live="polite">{t('table.chosen', { n })}</b>
            {!all && total !== undefined && total > n && (
                <button type="button" class="link" onClick={chooseAll}>
                    {t('table.choose_all', { n: total })}
                </button>
            )}
            <span class="grow" />
            {bulk.map((b) => (
                <button type="button" key={b.id} class={b.danger ? 'danger' : ''} onClick={() => start(b)}>
                    {b.label}
                </button>
            ))}
            <button type="button" class="plain" onClick={clear}>
                {t('table.clear')}
            </button>
        </div>
    );
}
