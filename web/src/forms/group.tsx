// SPDX-License-Identifier: Apache-2.0
// Options with options of their own: groups that fold, maps of named groups, next hops.
import { useState } from 'preact/hooks';
import { Icon, ask } from '../components';
import { t } from '../i18n';
import { draft, findingsAt, findingsBelow } from './draft';
import { Field, Findings, isWanted } from './field';
import type { ControlArgs, FieldArgs } from './field';
import { helpOf, labelOf } from './labels';
import { childOf } from './schema';
import type { Option } from './schema';
import { isMap, join } from './tree';
import type { Tree } from './tree';
import { asBool } from './units';

/** All options of a group, the plain ones first. */
export function Options({ option, path }: FieldArgs) {
    const all = option.options ?? [];
    const late = (o: Option) => o.kind === 'group' || o.kind === 'records' || o.kind === 'map';
    return <>{[...all.filter((o) => !late(o)), ...all.filter(late)].map((o) => <Field option={o} path={join(path, o.name)} key={o.name} />)}</>;
}

function Marks({ path }: { path: string }) {
    const found = findingsBelow(path);
    const errors = found.filter((f) => f.severity === 'error').length;
    return (
        <>
            {draft.changed(path) && <span class="badge info">{t('form.changed')}</span>}
            {errors > 0 && <span class="badge bad">{t('form.errors', { n: errors })}</span>}
            {found.length > errors && <span class="badge warn">{t('form.warnings', { n: found.length - errors })}</span>}
        </>
    );
}

function Fold({ title, name, path, note, badge, start, children }: { title: string; name: string; path: string; note?: string; badge?: preact.ComponentChildren; start: boolean; children: () => preact.ComponentChildren }) {
    const [open, setOpen] = useState(start);
    return (
        <div class={`fold ${open ? 'open' : ''}`}>
            <button type="button" class="fold-head" aria-expanded={open} onClick={() => setOpen(!open)}>
                <Icon name={open ? 'down' : 'right'} size={16} />
                <span class="label">{title}</span><code title={path}>{name}</code>
                <Marks path={path} />
                {badge}
                {!open && note && <span class="dim fold-note">{note}</span>}
            </button>
            {open && <div class="fold-body">{children()}</div>}
        </div>
    );
}

/** Of a group that can be switched on. */
function OnOff({ option, path }: FieldArgs) {
    const enabled = childOf(option, 'enabled');
    if (enabled?.kind !== 'bool') return null;
    const at = join(path, 'enabled');
    const on = asBool(draft.value(at)) ?? asBool(enabled.fallback as Tree) ?? asBool(draft.effective(at));
    return <span class={`badge ${on ? 'ok' : ''}`}>{t(on ? 'form.on' : 'form.off')}</span>;
}

export function GroupField({ option, path }: FieldArgs) {
    const value = draft.value(path);
    const written = isMap(value) ? Object.keys(value).length : 0;
    const help = helpOf(option, path);
    return (
        <Fold title={labelOf(option, path)} name={option.name} path={path} start={isWanted(path)} note={written ? t('form.set_n', { n: written }) : help} badge={<OnOff option={option} path={path} />}>
            {() => <>{help && <p class="help">{help}</p>}<Findings of={findingsAt(path)} /><Options option={option} path={path} /></>}
        </Fold>
    );
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

export function MapField({ option, path, locked }: ControlArgs) {
    const value = draft.value(path), names = isMap(value) ? Object.keys(value) : [];
    const [name, setName] = useState('');
    const [made, setMade] = useState(''); /* just now: it is shown open */
    const taken = names.includes(name), fits = NAME.test(name) && !taken;
    const add = (e: Event) => {
        e.preventDefault();
        if (!fits) return;
        setMade(name);
        draft.set(join(path, name), {});
        setName('');
    };
    const remove = (n: string) => ask({ title: t('form.remove_title', { x: n }), text: t('form.remove_text'), button: t('form.remove'), danger: true, run: async () => draft.set(join(path, n), undefined) });
    const entry: Option = { ...option, kind: 'group' };
    return (
        <div class="map-field">
            {names.map((n) => (
                <div class="map-entry" key={n}>
                    <Fold title={n} name="" path={join(path, n)} start={n === made || isWanted(join(path, n))} note={summary((value as Record<string, Tree>)[n])}>
                        {() => (
                            <>
                                <Findings of={findingsAt(join(path, n))} />
                                <Options option={entry} path={join(path, n)} />
                                {!locked && <p class="row"><button type="button" class="danger" onClick={() => remove(n)}><Icon name="trash" /> {t('form.remove_entry', { x: n })}</button></p>}
                            </>
                        )}
                    </Fold>
                </div>
            ))}
            {!names.length && <p class="dim">{t('form.no_entries')}</p>}
            {!locked && (
                <form class="row" onSubmit={add}>
                    <input type="text" class="short" value={name} placeholder={t('form.new_name')} aria-label={t('form.new_name')} aria-invalid={name !== '' && !fits} onInput={(e) => setName(e.currentTarget.value.trim())} />
                    <button type="submit" disabled={!fits}><Icon name="plus" /> {t('form.add')}</button>
                    {taken && <span class="wrong">{t('form.name_taken')}</span>}
                    {name && !taken && !fits && <span class="wrong">{t('form.name_odd')}</span>}
                </form>
            )}
        </div>
    );
}

/** "trust: relay · networks: 10.0.0.0/8" */
export function summary(value: Tree | undefined, without: string[] = []): string {
    if (!isMap(value)) return value === undefined || value === null ? '' : String(value);
    return Object.entries(value).filter(([name]) => !without.includes(name)).slice(0, 5).map(([name, x]) => `${name.replace(/_/g, ' ')}: ${brief(x)}`).join(' · ');
}

function brief(x: Tree): string {
    if (Array.isArray(x)) return x.length > 3 || x.some((y) => isMap(y)) ? `(${x.length})` : x.map((y) => String(y)).join(', ');
    if (isMap(x)) return x.host ? String(x.host) : '…';
    const text = String(x);
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export function HopField(args: ControlArgs) {
    const { option, path, id, about, invalid, locked } = args;
    const value = draft.value(path), more = isMap(value);
    const open = () => draft.set(path, typeof value === 'string' && value ? hopOf(value, option) : { host: '' });
    const close = () => draft.set(path, hopText(value));
    if (!more)
        return (
            <div class="hop row">
                <input id={id} type="text" class="grow" spellcheck={false} autocomplete="off" disabled={locked} aria-describedby={about} aria-invalid={invalid} value={value === undefined || value === null ? '' : String(value)}
                    onInput={(e) => draft.set(path, e.currentTarget.value || undefined)} />
                {!locked && <button type="button" onClick={open}>{t('form.hop_more')}</button>}
            </div>
        );
    return (
        <div class="hop-group" role="group" aria-describedby={about}>
            <Options option={option} path={path} />
            {!locked && hopText(value) !== undefined && <button type="button" onClick={close}>{t('form.hop_less')}</button>}
        </div>
    );
}

/** "host:25" -> {host, port}; anything else stays the host. */
function hopOf(text: string, option: Option): Tree {
    const found = /^([^:[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]+)$/.exec(text);
    if (!found || !childOf(option, 'port')) return { host: text };
    return { host: found[1]!.replace(/^\[(.*)\]$/, '$1'), port: Number(found[2]) };
}

/** The text that says the same; undefined: there is more than host and port. */
function hopText(value: Tree | undefined): string | undefined {
    if (!isMap(value) || Object.keys(value).some((n) => n !== 'host' && n !== 'port')) return undefined;
    return hostPort(value);
}

/** "mail.example.com", "[2001:db8::1]:25" */
export function hostPort(hop: { [name: string]: Tree }): string {
    const host = String(hop.host ?? '');
    if (!hop.port) return host;
    return host.includes(':') ? `[${host}]:${String(hop.port)}` : `${host}:${String(hop.port)}`;
}
