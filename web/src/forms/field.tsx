// SPDX-License-Identifier: Apache-2.0
// One option as a row: name, what it is for, its control, its default, what the checker says of it.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from '../components';
import { language, t } from '../i18n';
import { parse } from '../router';
import { may } from '../session';
import { draft, findingsAt, findingsBelow } from './draft';
import type { Finding } from './draft';
import { GroupField, HopField, MapField } from './group';
import { helpOf, labelOf, shownOf } from './labels';
import { ListField, plainEntries } from './list';
import { RecordsField } from './records';
import type { Option } from './schema';
import { isMap } from './tree';
import type { Tree } from './tree';
import { asBool, formatSize, formatTime, parseSize, parseTime, saySize, sayTime } from './units';

export interface FieldArgs {
    option: Option;
    path: string;
}
export interface ControlArgs extends FieldArgs {
    id: string;
    about: string;      // ids of what describes it
    invalid: boolean;
    locked: boolean;
}

export function Findings({ of }: { of: Finding[] }) {
    return (
        <>
            {of.map((f) => (
                <p class={`finding ${f.severity}`} key={`${f.line}${f.text}`} role={f.severity === 'error' ? 'alert' : undefined}>
                    <Icon name="warning" size={15} /> {f.text}{f.hint && <span class="dim">; {f.hint}</span>}
                </p>
            ))}
        </>
    );
}

/** What a value is called where the default is told. */
export function say(value: unknown): string {
    if (Array.isArray(value)) return value.length > 8 ? `${value.slice(0, 8).join(', ')} … (${value.length})` : value.join(', ');
    if (isMap(value as Tree)) return JSON.stringify(value);
    return String(value);
}

function defaultOf(option: Option, path: string): string | undefined {
    const yes = option.kind === 'bool' ? asBool(option.fallback as Tree) : undefined;
    if (yes !== undefined) return t(yes ? 'form.yes' : 'form.no');
    if (option.fallback !== undefined) return say(option.fallback);
    if (option.shown) return shownOf(option.shown);
    const effective = draft.effective(path);
    if (effective === undefined || effective === null || effective === '' || draft.value(path) !== undefined) return undefined;
    if (draft.written(path) !== undefined || Array.isArray(effective) && !effective.length) return undefined;
    return typeof effective === 'object' ? undefined : say(effective);
}

/** Said of what is typed into a size or time; "": nothing; the second: it is wrong. */
function explain(option: Option, value: Tree | undefined): [string, boolean] {
    if (value === undefined || value === null || typeof value === 'object') return ['', false];
    const text = String(value), { kind, min, max } = option;
    if (kind === 'size' || kind === 'time') {
        const n = kind === 'size' ? parseSize(text) : parseTime(text);
        const show = (x: number) => (kind === 'size' ? formatSize(x) : formatTime(x));
        if (Number.isNaN(n)) return [t(kind === 'size' ? 'form.not_size' : 'form.not_time'), true];
        if (min !== undefined && n < min) return [t('form.at_least', { x: show(min) }), true];
        if (max !== undefined && n > max) return [t('form.at_most', { x: show(max) }), true];
        return [kind === 'size' ? saySize(n, language()) : sayTime(n, language()), false];
    }
    if (kind !== 'number' && kind !== 'score' && kind !== 'percent') return ['', false];
    const n = Number(text.replace(/ ?%$/, ''));
    if (!text.trim() || Number.isNaN(n) || (kind === 'number' && !Number.isInteger(n))) return [t('form.not_number'), true];
    if (min !== undefined && n < min) return [t('form.at_least', { x: min }), true];
    if (max !== undefined && n > max) return [t('form.at_most', { x: max }), true];
    return ['', false];
}

function bounds(option: Option): string {
    const { kind, min, max } = option;
    const show = (x: number) => (kind === 'size' ? formatSize(x) : kind === 'time' ? formatTime(x) : x.toLocaleString(language()));
    if (max === undefined || max === 0) return min ? t('form.at_least', { x: show(min) }) : '';
    return t('form.between', { from: show(min ?? 0), to: show(max) });
}

/** Where a link leads to one option. */
function wantedOption(): string {
    return parse(location.hash).query.option ?? '';
}

export function isWanted(path: string): boolean {
    const at = wantedOption();
    return at === path || at.startsWith(`${path}.`) || at.startsWith(`${path}[`);
}

const NESTED = ['group', 'map', 'records'];

export function Field({ option, path }: FieldArgs) {
    const row = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (wantedOption() !== path) return;
        const later = setTimeout(() => { /* after the shell has gone to the page's beginning */
            row.current?.scrollIntoView({ block: 'center' });
            row.current?.querySelector<HTMLElement>('input, select, textarea, button')?.focus({ preventScroll: true });
        }, 60);
        return () => clearTimeout(later);
    }, [path]);
    if (option.kind === 'group') return <div ref={row}><GroupField option={option} path={path} /></div>;
    const id = `o-${path}`, value = draft.value(path), found = option.kind === 'list' || option.kind === 'set' ? findingsBelow(path) : findingsAt(path); /* of its entries, too */
    const [note, wrong] = explain(option, value);
    const locked = !may('configure') || draft.state.text !== null;
    const invalid = wrong || found.some((f) => f.severity === 'error');
    const args: ControlArgs = { option, path, id, about: `${id}-help ${id}-note`, invalid, locked };
    const choice = option.kind === 'set' || (option.kind === 'list' && option.refer === 'zones');
    return (
        <div class={`option ${NESTED.includes(option.kind) || (option.kind === 'hop' && isMap(value)) ? 'nested' : ''} ${draft.changed(path) ? 'changed' : ''}`} ref={row}>
            <div class="option-name">
                {NESTED.includes(option.kind) || choice ? <span class="label" id={`${id}-label`}>{labelOf(option, path)}</span> : <label for={id}>{labelOf(option, path)}</label>}
                {option.required && <span class="required" title={t('form.required')}>*</span>}
                <code title={path}>{option.name}</code>
                <p class="help" id={`${id}-help`}>{helpOf(option, path)}</p>
            </div>
            <div class="option-value">
                <div class="option-control">
                    <Control {...args} />
                    {value !== undefined && !option.required && !NESTED.includes(option.kind) && !locked && (
                        <button type="button" class="icon" title={t('form.reset')} aria-label={`${t('form.reset')}: ${labelOf(option, path)}`} onClick={() => draft.set(path, undefined)}><Icon name="undo" /></button>
                    )}
                </div>
                <div class="option-note" id={`${id}-note`}>
                    {note && !(wrong && found.length > 0) && <span class={wrong ? 'wrong' : ''}>{note}</span>}
                    <Hints option={option} path={path} />
                </div>
                <Findings of={found} />
            </div>
        </div>
    );
}

function Hints({ option, path }: FieldArgs) {
    const parts: ComponentChildren[] = [];
    const usual = defaultOf(option, path);
    if (usual !== undefined && option.kind !== 'enum' && !(option.kind === 'bool' && draft.value(path) === undefined)) parts.push(<span>{t('form.default')} <code>{usual}</code></span>);
    const range = bounds(option);
    if (range && option.kind !== 'score') parts.push(<span>{range}</span>);
    if (usual === undefined && option.example && option.kind !== 'records' && option.kind !== 'map') parts.push(<span>{t('form.example')} <code>{option.kind === 'list' ? plainEntries(option.example).join(', ') : option.example}</code></span>);
    return <>{parts}</>;
}

function Control(args: ControlArgs) {
    switch (args.option.kind) {
    case 'bool': return <BoolControl {...args} />;
    case 'enum': return <EnumControl {...args} />;
    case 'secret': return <SecretControl {...args} />;
    case 'set': return <SetControl {...args} />;
    case 'list': return args.option.refer === 'zones' ? <SetControl {...args} /> : <ListField {...args} />;
    case 'records': return <RecordsField {...args} />;
    case 'map': return <MapField {...args} />;
    case 'hop': return <HopField {...args} />;
    default: return args.option.refer ? <ReferControl {...args} /> : <TextControl {...args} />;
    }
}

function BoolControl({ option, path, id, about, locked }: ControlArgs) {
    const value = asBool(draft.value(path));
    const usual = asBool(option.fallback as Tree) ?? asBool(draft.effective(path)) ?? false;
    return (
        <label class="switch">
            <input id={id} type="checkbox" role="switch" checked={value ?? usual} disabled={locked} aria-describedby={about}
                onInput={(e) => draft.set(path, e.currentTarget.checked ? 'yes' : 'no')} />
            <span class="track" aria-hidden="true" />
            <span>{t((value ?? usual) ? 'form.yes' : 'form.no')}{value === undefined && <span class="dim"> ({t('form.as_default')})</span>}</span>
        </label>
    );
}

function EnumControl({ option, path, id, about, invalid, locked }: ControlArgs) {
    const value = draft.value(path);
    let at = value === undefined || value === null ? '' : String(value);
    if (typeof value === 'boolean' && !(option.words ?? []).includes(at)) at = value ? 'on' : 'off';
    const words = option.words ?? [];
    const usual = defaultOf(option, path);
    return (
        <select id={id} value={at} disabled={locked} aria-describedby={about} aria-invalid={invalid} onInput={(e) => draft.set(path, e.currentTarget.value || undefined)}>
            <option value="">{usual !== undefined ? t('form.default_is', { x: usual }) : option.required ? t('form.choose') : t('form.default_none')}</option>
            {at && !words.includes(at) && <option value={at}>{at}</option>}
            {words.map((w) => <option value={w} key={w}>{w}</option>)}
        </select>
    );
}

/** What other entries are called. */
export function namesOf(refer: string): string[] {
    const value = draft.value(refer);
    if (isMap(value)) {
        const names = Object.keys(value);
        return refer === 'zones' && !names.includes('internet') ? [...names, 'internet'] : names;
    }
    const key = refer === 'listeners' ? 'address' : 'name';
    const names = Array.isArray(value) ? value.map((x) => (isMap(x) ? String(x[key] ?? '') : String(x))).filter(Boolean) : [];
    return refer === 'zones' ? [...names, 'internet'] : names;
}

function ReferControl({ option, path, id, about, invalid, locked }: ControlArgs) {
    const at = String(draft.value(path) ?? ''), names = namesOf(option.refer!);
    return (
        <select id={id} value={at} disabled={locked} aria-describedby={about} aria-invalid={invalid} onInput={(e) => draft.set(path, e.currentTarget.value || undefined)}>
            <option value="">{t('form.none')}</option>
            {at && !names.includes(at) && <option value={at}>{at}</option>}
            {names.map((n) => <option value={n} key={n}>{n}</option>)}
        </select>
    );
}

function SetControl({ option, path, id, about, locked }: ControlArgs) {
    const value = draft.value(path), usual = Array.isArray(option.fallback) ? option.fallback.map(String) : [];
    const chosen = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : usual;
    const words = option.refer ? namesOf(option.refer) : option.words ?? [];
    const all = [...words, ...chosen.filter((w) => !words.includes(w))];
    const toggle = (word: string, on: boolean) => {
        const next = all.filter((w) => (w === word ? on : chosen.includes(w)));
        draft.set(path, next.length ? next : undefined);
    };
    return (
        <div class="set" role="group" aria-labelledby={`${id}-label`} aria-describedby={about}>
            {all.map((w) => (
                <label class="check" key={w}><input type="checkbox" checked={chosen.includes(w)} disabled={locked} onInput={(e) => toggle(w, e.currentTarget.checked)} /><span>{w}</span></label>
            ))}
            {!all.length && <span class="dim">{t('form.nothing_to_choose')}</span>}
        </div>
    );
}

function SecretControl({ path, id, about, invalid, locked }: ControlArgs) {
    const value = draft.value(path), kept = draft.written(path) === '***';
    return (
        <input id={id} type="password" autocomplete="new-password" disabled={locked} aria-describedby={about} aria-invalid={invalid}
            placeholder={kept ? t('form.secret_kept') : ''} value={value === '***' || value === undefined ? '' : String(value)}
            onInput={(e) => draft.set(path, e.currentTarget.value || (kept ? '***' : undefined))} />
    );
}

const NUMBERS = ['number', 'percent', 'score'];

function TextControl({ option, path, id, about, invalid, locked }: ControlArgs) {
    const value = draft.value(path), number = NUMBERS.includes(option.kind);
    const short = number || option.kind === 'size' || option.kind === 'time';
    const take = (text: string) => {
        if (number && /^-?[0-9]+(\.[0-9]+)?$/.test(text) && String(Number(text)) === text) draft.set(path, Number(text));
        else draft.set(path, text === '' && !(option.name === 'subject') ? undefined : text);
    };
    const usual = defaultOf(option, path);
    return (
        <input id={id} type="text" class={short ? 'short' : ''} inputMode={option.kind === 'number' ? 'numeric' : undefined} autocomplete="off" spellcheck={false}
            disabled={locked} aria-describedby={about} aria-invalid={invalid} placeholder={usual ?? ''} required={option.required}
            value={value === undefined || value === null ? '' : String(value)} onInput={(e) => take(e.currentTarget.value)} />
    );
}
