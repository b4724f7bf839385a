// SPDX-License-Identifier: Apache-2.0
// Pages of tables: of rows that are there, or of lists that come page by page.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useGet } from '../api';
import { withQuery } from '../router';
import type { Query } from '../router';
import type { TableProps } from './table';

/** Pages come from the relay; see usePaged. */
export interface Paging {
    page: number;
    size: number;
    total?: number;
    more: boolean;
    sort?: string;
    onPage: (to: number) => void;
    onSize: (to: number) => void;
    onSort?: (sort: string) => void;
}

export const pageSizes = [10, 25, 50, 100];

function storedSize(): number {
    const n = Number(localStorage.getItem('page-size'));
    return pageSizes.includes(n) ? n : 10;
}

function useSize(): [number, (to: number) => void] {
    const [size, setSize] = useState(storedSize);
    return [
        size,
        (to) => {
            localStorage.setItem('page-size', String(to));
            setSize(to);
        },
    ];
}

export function useLocalPages<T>(p: TableProps<T>): { rows: T[] | undefined; paging: Paging } {
    const [page, setPage] = useState(0);
    const [size, setSize] = useSize();
    const [sort, setSort] = useState(p.sort ?? '');
    const sorted = useMemo(() => {
        if (p.paging || !p.rows) return p.rows;
        const by = p.columns.find((c) => c.id === sort.replace(/^-/, ''))?.sort;
        if (typeof by !== 'function') return p.rows;
        const sign = sort[0] === '-' ? -1 : 1;
        return [...p.rows].sort((x, y) => {
            const a = by(x) ?? '',
                b = by(y) ?? '';
            return sign * (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)));
        });
    }, [p.rows, sort, p.paging === undefined]);
    const n = sorted?.length ?? 0,
        last = Math.max(0, Math.ceil(n / size) - 1),
        here = Math.min(page, last);
    return {
        rows: sorted?.slice(here * size, (here + 1) * size),
        paging: {
            page: here,
            size,
            total: n,
            more: here < last,
            sort,
            onPage: setPage,
            onSize: (s) => {
                setSize(s);
                setPage(0);
            },
            onSort: (s) => {
                setSort(s);
                setPage(0);
            },
        },
    };
}

interface PagedOptions<A, T> {
    rows: (answer: A) => T[];
    total?: (answer: A) => number | undefined;
    /** The cursor behind these rows; undefined: there are no more. */
    next: (answer: A, rows: T[], size: number, page: number) => string | undefined;
    /** The name of the cursor's argument. */
    cursor: 'before' | 'after';
    sort?: string;
    /** Asked again every so many ms. */
    every?: number;
}

/** A list that comes page by page, each behind the cursor that the former gave. Other arguments: the first page again. table: for a Table. */
export function usePaged<A, T>(path: string | null, args: Query, o: PagedOptions<A, T>) {
    const [size, setSize] = useSize();
    const [sort, setSort] = useState(o.sort);
    const what = path === null ? '' : withQuery(path, { ...args, sort, size });
    const [at, setAt] = useState<{ what: string; page: number; cursors: (string | undefined)[] }>({ what, page: 0, cursors: [undefined] });
    const now = at.what === what ? at : { what, page: 0, cursors: [undefined] };
    const got = useGet<A>(path, { ...args, sort, limit: size, [o.cursor]: now.cursors[now.page] }, o.every);
    const rows = got.data && o.rows(got.data);
    const next = got.data && rows && o.next(got.data, rows, size, now.page);
    useEffect(() => {
        /* the row to go on after is gone */
        if (got.error?.status === 400 && now.page > 0) setAt({ what, page: 0, cursors: [undefined] });
    }, [got.error]);
    const paging: Paging = {
        page: now.page,
        size,
        total: got.data && o.total?.(got.data),
        more: next !== undefined,
        sort,
        onPage: (to) => {
            const cursors = now.cursors.slice(0, now.page + 1);
            if (to > now.page) cursors.push(next);
            setAt({ what, page: to, cursors });
        },
        onSize: setSize,
        onSort: setSort,
    };
    return { ...got, rows, paging, table: { rows, paging, busy: got.busy, error: got.error, retry: got.reload, after: got.reload } };
}

/** "/" goes to the search field, from anywhere on the page. */
export function useSlash(): void {
    useEffect(() => {
        const f = (e: KeyboardEvent) => {
            if (
                e.key !== '/' ||
                e.ctrlKey ||
                e.metaKey ||
                e.altKey ||
                (e.target as Element).closest?.('input,textarea,select,[contenteditable]')
            )
                return;
            const field = document.querySelector<HTMLElement>('main [data-search]') ?? document.querySelector<HTMLElement>('[data-search]');
            if (!field) return;
            e.preventDefault();
            field.focus();
        };
        addEventListener('keydown', f);
        return () => removeEventListener('keydown', f);
    }, []);
}
