// SPDX-License-Identifier: Apache-2.0
// Who did what.
import { useState } from 'preact/hooks';
import { Badge, Panel, SelectField, Table, TextField, Time, usePaged } from '../../components';
import type { Tone } from '../../components';
import { t, tWord } from '../../i18n';

interface Entry {
    id: number;
    time: number;
    who: string;
    role?: string;
    address: string;
    via: string;
    action: string;
    target?: string;
    outcome: 'ok' | 'refused' | 'failed';
    detail?: string;
}
interface Answer {
    entries: Entry[];
    before?: number | string;
}

const tones: Record<string, Tone> = { ok: 'ok', refused: 'warn', failed: 'bad' };
const DAYS: Record<string, number> = { '': 0, day: 1, week: 7, month: 30 };

export function Audit() {
    const [who, setWho] = useState('');
    const [action, setAction] = useState('');
    const [span, setSpan] = useState('');
    const [since, setSince] = useState<number | undefined>(undefined);
    const choose = (to: string) => {
        setSpan(to);
        setSince(DAYS[to] ? Date.now() - DAYS[to]! * 86_400_000 : undefined);
    };
    const list = usePaged<Answer, Entry>('/v1/audit', { who: who.trim(), action: action.trim(), since }, {
        rows: (a) => a.entries, next: (a) => (a.before === undefined || a.before === null ? undefined : String(a.before)), cursor: 'before',
    });
    return (
        <Panel title={t('system.audit')} flush>
            <div class="body filters">
                <TextField label={t('audit.who')} value={who} onInput={setWho} data-search />
                <TextField label={t('audit.action')} value={action} onInput={setAction} placeholder="config.apply" />
                <SelectField label={t('audit.when')} value={span} onInput={choose} words={[['', t('audit.all')], ['day', t('audit.day')], ['week', t('audit.week')], ['month', t('audit.month')]]} />
            </div>
            <Table label={t('system.audit')} {...list.table} keyOf={(e) => String(e.id)} columns={[
                { id: 'time', title: t('audit.time'), cell: (e) => <Time ms={e.time} />, tight: true },
                { id: 'who', title: t('audit.who'), cell: (e) => <><b>{e.who || '–'}</b> <div class="dim small">{[e.address, e.via].filter(Boolean).join(' · ')}</div></> },
                { id: 'action', title: t('audit.action'), cell: (e) => <code>{e.action}</code> },
                { id: 'target', title: t('audit.target'), cell: (e) => <span class="wrap">{e.target}{e.detail && <div class="dim small">{e.detail}</div>}</span> },
                { id: 'outcome', title: t('audit.outcome'), cell: (e) => <Badge tone={tones[e.outcome] ?? ''}>{tWord('audit', e.outcome)}</Badge>, tight: true },
            ]} />
        </Panel>
    );
}
