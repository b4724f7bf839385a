// SPDX-License-Identifier: Apache-2.0
// Lists of entries: added, inserted, moved, copied, removed; searched and shown by pages when there are many; lines pasted at once.
import { useEffect, useRef, useState } from 'preact/hooks';
import { Dialog, Icon } from '../components';
import { t } from '../i18n';
import { draft, findingsAt, findingsBelow } from './draft';
import { Findings, isWanted } from './field';
import type { ControlArgs } from './field';
import { Options, summary } from './group';
import { labelOf } from './labels';
import type { Option } from './schema';
import { isMap, join } from './tree';
import type { Tree } from './tree';
import { asBool } from './units';

const SIZES = [10, 25, 100];
const NAMES = ['name', 'match', 'domain', 'zone', 'address', 'symbol', 'line', 'to', 'url', 'certificate', 'action', 'kind', 'table', 'file', 'from'];

function titleOf(value: Tree | undefined): [string, string] {
    if (!isMap(value)) return ['', String(value ?? '')];
    const key = NAMES.find((n) => value[n] !== undefined && typeof value[n] !== 'object' && value[n] !== '');
    return key ? [key, String(value[key])] : ['', ''];
}

export function RecordsField({ option, path, id, locked }: ControlArgs) {
    const value = draft.value(path), list = Array.isArray(value) ? value : [];
    const wanted = list.findIndex((_, i) => isWanted(join(path, i)));
    const [open, setOpen] = useState(wanted);
    const [filter, setFilter] = useState('');
    const [size, setSize] = useState(SIZES[0] as number);
    const [page, setPage] = useState(Math.max(0, Math.floor(wanted / (SIZES[0] as number))));
    const [pasting, setPasting] = useState(false);
    const rows = list.map((x, i) => ({ x, i })).filter(({ x }) => !filter || JSON.stringify(x).toLowerCase().includes(filter.toLowerCase()));
    const last = Math.max(0, Math.ceil(rows.length / size) - 1), at = Math.min(page, last);
    const put = (next: Tree[], show: number) => {
        draft.set(path, next.length ? next : undefined);
        setOpen(show);
        if (show >= 0 && !filter) setPage(Math.floor(show / size));
    };
    const insert = (i: number, x: Tree) => put([...list.slice(0, i), x, ...list.slice(i)], i);
    const remove = (i: number) => put(list.filter((_, j) => j !== i), -1);
    const move = (i: number, to: number) => {
        if (to < 0 || to >= list.length) return;
        const next = list.slice();
        next.splice(to, 0, ...next.splice(i, 1));
        put(next, open === i ? to : -1);
    };
    const actions: Actions = { insert, remove, move };
    return (
        <div class="records" role="group" aria-labelledby={`${id}-label`}>
            {list.length > SIZES[0]! && (
                <input type="search" class="short" placeholder={t('form.search')} aria-label={t('form.search')} value={filter} onInput={(e) => { setFilter(e.currentTarget.value); setPage(0); setOpen(-1); }} />
            )}
            {rows.length > 0 && (
                <ol class="plain">
                    {rows.slice(at * size, at * size + size).map(({ x, i }) => (
                        <Entry key={i} option={option} path={join(path, i)} index={i} last={i === list.length - 1} value={x} open={open === i} locked={locked} actions={actions} toggle={() => setOpen(open === i ? -1 : i)} />
                    ))}
                </ol>
            )}
            {!rows.length && <p class="dim">{filter ? t('form.not_found') : t('form.no_entries')}</p>}
            <div class="row records-foot">
                {!locked && <button type="button" onClick={() => insert(list.length, {})}><Icon name="plus" /> {t('form.add')}</button>}
                {!locked && option.scalar && <button type="button" onClick={() => setPasting(true)}>{t('form.paste')}</button>}
                {list.length > 0 && <span class="dim">{t('form.entries', { n: list.length })}</span>}
                {rows.length > SIZES[0]! && (
                    <>
                        <span class="grow" />
                        <select aria-label={t('form.page_size')} value={size} onInput={(e) => { setSize(Number(e.currentTarget.value)); setPage(0); }}>{SIZES.map((n) => <option key={n} value={n}>{n}</option>)}</select>
                        <button type="button" class="icon" aria-label={t('form.page_before')} disabled={at === 0} onClick={() => setPage(at - 1)}><Icon name="left" /></button>
                        <span>{at + 1} / {last + 1}</span>
                        <button type="button" class="icon" aria-label={t('form.page_next')} disabled={at === last} onClick={() => setPage(at + 1)}><Icon name="right" /></button>
                    </>
                )}
            </div>
            {pasting && <PasteDialog option={option} close={() => setPasting(false)} take={(more) => put([...list, ...more], -1)} />}
        </div>
    );
}

interface Actions {
    insert: (i: number, x: Tree) => void;
    remove: (i: number) => void;
    move: (i: number, to: number) => void;
}
interface EntryArgs {
    option: Option;
    path: string;
    index: number;
    last: boolean;
    value: Tree;
    open: boolean;
    locked: boolean;
    actions: Actions;
    toggle: () => void;
}

function Entry({ option, path, index, last, value, open, locked, actions, toggle }: EntryArgs) {
    const [key, title] = titleOf(value);
    const off = isMap(value) && asBool(value.enabled) === false;
    const comment = isMap(value) && typeof value.comment === 'string' ? value.comment : '';
    const bad = findingsBelow(path).some((f) => f.severity === 'error');
    const body = useRef<HTMLDivElement>(null), fresh = isMap(value) && !Object.keys(value).length;
    useEffect(() => {
        if (open && fresh) body.current?.querySelector<HTMLElement>('input, select, textarea')?.focus();
    }, [open]);
    const name = title || t('form.entry', { n: index + 1 });
    return (
        <li class={`entry ${open ? 'open' : ''} ${off ? 'off' : ''} ${bad ? 'bad' : ''}`}>
            <div class="entry-head">
                <button type="button" class="entry-title" aria-expanded={open} onClick={toggle}>
                    <Icon name={open ? 'down' : 'right'} size={16} />
                    <span class="entry-text">
                        {key && key !== 'name' && key !== option.scalar && NAMES.indexOf(key) > 5 && <span class="dim">{key} </span>}
                        <b>{name}</b> <span class="dim">{summary(value, [key, 'comment', 'enabled'])}</span>
                        {comment && <span class="comment">{comment}</span>}
                    </span>
                    {off && <span class="badge">{t('form.off')}</span>}
                    {bad && <span class="badge bad">!</span>}
                </button>
                {!locked && (
                    <span class="entry-actions">
                        <button type="button" class="icon" title={t('form.up')} aria-label={t('form.up_x', { x: name })} disabled={index === 0} onClick={() => actions.move(index, index - 1)}><Icon name="up" size={16} /></button>
                        <button type="button" class="icon" title={t('form.down')} aria-label={t('form.down_x', { x: name })} disabled={last} onClick={() => actions.move(index, index + 1)}><Icon name="down" size={16} /></button>
                        <button type="button" class="icon" title={t('form.remove')} aria-label={t('form.remove_entry', { x: name })} onClick={() => actions.remove(index)}><Icon name="trash" size={16} /></button>
                    </span>
                )}
            </div>
            {open && (
                <div class="entry-body" ref={body}>
                    <Findings of={findingsAt(path)} />
                    {option.choice && <p class="help">{t('form.one_of', { x: option.choice.join(', ') })}</p>}
                    <Options option={{ ...option, kind: 'group' }} path={path} />
                    {!locked && (
                        <p class="row">
                            <button type="button" onClick={() => actions.insert(index, {})}><Icon name="plus" size={16} /> {t('form.insert_before')}</button>
                            <button type="button" onClick={() => actions.insert(index + 1, value)}><Icon name="copy" size={16} /> {t('form.duplicate')}</button>
                        </p>
                    )}
                </div>
            )}
        </li>
    );
}

/** "10.0.0.1  # the old printer" -> {match: "10.0.0.1", comment: "the old printer"} */
function entriesOf(text: string, option: Option): Tree[] {
    const comments = option.options?.some((o) => o.name === 'comment');
    return text.split(/\r?\n/).map((l) => l.trim()).filter((l) => l && !l.startsWith('#')).map((l) => {
        const at = comments ? l.search(/\s#/) : -1;
        const value = (at < 0 ? l : l.slice(0, at)).trim(), comment = at < 0 ? '' : l.slice(at).replace(/^\s+#\s*/, '');
        return comment ? { [option.scalar!]: value, comment } : { [option.scalar!]: value };
    });
}

function PasteDialog({ option, close, take }: { option: Option; close: () => void; take: (more: Tree[]) => void }) {
    const [text, setText] = useState('');
    const found = entriesOf(text, option);
    const add = () => {
        take(found);
        close();
    };
    const what = option.options?.find((o) => o.name === option.scalar);
    return (
        <Dialog title={t('form.paste_title')} onClose={close}
            footer={<><button type="button" onClick={close}>{t('common.cancel')}</button><button type="button" class="primary" disabled={!found.length} onClick={add}>{t('form.paste_add', { n: found.length })}</button></>}>
            <p id="paste-help">{t('form.paste_help')}</p>
            <textarea rows={12} spellcheck={false} autofocus aria-label={what ? labelOf(what, option.scalar!) : t('form.paste_title')} aria-describedby="paste-help" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </Dialog>
    );
}
