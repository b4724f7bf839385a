// SPDX-License-Identifier: Apache-2.0
// The catalogue of DNS lists that comes with the program: chosen with one click, with what their operators say of them.
import { useState } from 'preact/hooks';
import { useGet } from '../api';
import { Badge, Panel } from '../components';
import { t } from '../i18n';
import { may } from '../session';
import { draft, useDraft } from './draft';
import { isMap } from './tree';
import type { Tree } from './tree';
import { asBool } from './units';

const LISTS = 'checks.dns_lists.lists';

/** How one that is asked is. */
interface State {
    zone: string;
    state: string;
    asked: number;
    listed: number;
    failed: number;
    reason?: string;
}

function StateText({ of }: { of: State | undefined }) {
    if (!of) return null;
    return (
        <>
            <Badge tone={of.state === 'off' ? 'bad' : of.state === 'up' ? 'ok' : ''}>{t(of.state === 'off' ? 'health.off' : of.state === 'up' ? 'health.fine' : 'health.not_asked')}</Badge>
            <span class="help">{of.reason} {of.asked > 0 && t('catalogue.counts', { asked: of.asked, listed: of.listed, failed: of.failed })}</span>
        </>
    );
}

function zoneOf(x: Tree): string {
    return String(isMap(x) ? x.zone ?? '' : x).toLowerCase();
}

export function Catalogue() {
    const { state } = useDraft();
    const [filter, setFilter] = useState('');
    const got = useGet<{ lists: State[] }>(may('status') ? '/v1/dns-lists' : null);
    const known = state.catalogue ?? [];
    if (!known.length || !state.base) return null;
    const value = draft.value(LISTS), lists = Array.isArray(value) ? value : [];
    const locked = !may('configure') || state.text !== null;
    const toggle = (zone: string, on: boolean, allow: boolean) => {
        const next = on ? [...lists, allow ? { zone, action: 'allow' } : { zone }] : lists.filter((x) => zoneOf(x) !== zone);
        draft.set(LISTS, next.length ? next : undefined);
    };
    const used = (zone: string) => lists.find((x) => zoneOf(x) === zone);
    const shown = known.filter((x) => (!x.closed || used(x.zone)) && `${x.zone} ${x.title}`.toLowerCase().includes(filter.toLowerCase()));
    return (
        <Panel title={t('catalogue.title')} actions={<input type="search" class="short" value={filter} placeholder={t('form.search')} aria-label={t('form.search')} onInput={(e) => setFilter(e.currentTarget.value)} />}>
            <p class="help">{t('catalogue.help')}</p>
            <ul class="plain catalogue">
                {shown.map((x) => {
                    const entry = used(x.zone);
                    return (
                        <li key={x.zone}>
                            <label class="check">
                                <input type="checkbox" checked={!!entry} disabled={locked} onInput={(e) => toggle(x.zone, e.currentTarget.checked, !!x.allow)} />
                                <span>
                                    <b>{x.zone}</b> {x.allow && <Badge tone="ok">{t('catalogue.allow')}</Badge>} {!x.of.includes('client') && <Badge>{t('catalogue.names')}</Badge>}
                                    {x.closed && <Badge tone="warn">{x.closed}</Badge>} {entry && isMap(entry) && asBool(entry.enabled) === false && <Badge>{t('form.off')}</Badge>}
                                    {entry && <StateText of={got.data?.lists.find((l) => l.zone.toLowerCase() === x.zone)} />}
                                    <span class="help">{x.title}</span>
                                </span>
                            </label>
                            {/^https?:/.test(x.home) && <a href={x.home} target="_blank" rel="noreferrer noopener">{t('catalogue.home')}</a>}
                        </li>
                    );
                })}
            </ul>
        </Panel>
    );
}
