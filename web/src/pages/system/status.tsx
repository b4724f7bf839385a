// SPDX-License-Identifier: Apache-2.0
// The processes, and what concerns the relay as a whole: reload, backup, the API's document, the set-up guide.
import { get, post, useGet } from '../../api';
import { Action, Badge, Busy, Facts, Failed, Icon, Panel, Table, attempt, toast } from '../../components';
import { FindingList } from '../../forms/bar';
import { useDraft } from '../../forms/draft';
import type { Finding } from '../../forms/draft';
import { duration, save } from '../../format';
import { t, tWord } from '../../i18n';
import { may } from '../../session';
import { useState } from 'preact/hooks';

interface Process {
    role?: string;
    pid?: number;
    slot?: number;
    generation?: number;
    state?: string;
    age?: number;
}
interface StatusAnswer {
    version: string;
    pid: number;
    uptime: number;
    file?: string;
    directory?: string;
    listeners?: string;
    generation?: number;
    workers: Process[];
    helpers: Process[];
    missing: number;
    stopping?: boolean;
}

export function Status() {
    const draft = useDraft();
    const { data, error, reload } = useGet<StatusAnswer>('/v1/status', undefined, 5000);
    const [found, setFound] = useState<Finding[]>([]);
    const again = () => attempt(async () => {
        setFound([]);
        try {
            await post('/v1/reload');
            toast(t('system.reloaded'));
        } catch (e) {
            const body = (e as { body?: { findings?: Finding[] } }).body;
            if (body?.findings?.length) setFound(body.findings);
            else throw e;
        }
        reload();
        void draft.refresh();
    });
    const download = () => attempt(async () => save('postern-openapi.json', JSON.stringify(await get('/v1/openapi.json'), null, 2), 'application/json'));
    if (error && !data) return <Failed error={error} retry={reload} />;
    if (!data) return <Busy />;
    const all: Process[] = [{ role: 'master', pid: data.pid, age: data.uptime, generation: data.generation, state: data.stopping ? 'draining' : 'ready' }, ...data.workers.map((w) => ({ role: 'worker', ...w })), ...data.helpers];
    return (
        <>
            <div class="grid">
                <Panel title={t('system.relay')} actions={may('configure') && <Action run={again}><Icon name="refresh" /> {t('system.reload')}</Action>}>
                    <Facts of={[
                        [t('system.version'), data.version],
                        [t('system.uptime'), duration(data.uptime)],
                        [t('system.listeners'), data.listeners],
                        [t('system.file'), data.file && <><code>{data.file}</code>{draft.state.base?.pending && <> <Badge tone="warn">{t('system.not_loaded')}</Badge></>}</>],
                        [t('system.directory'), data.directory && <code>{data.directory}</code>],
                        [t('system.missing'), data.missing ? <Badge tone="bad">{data.missing}</Badge> : undefined],
                    ]} />
                    {found.length > 0 && <FindingList of={found} />}
                </Panel>
                <Panel title={t('system.more')}>
                    <ul class="plain stack">
                        {may('config') && <li><div><a href="#/guide">{t('nav.guide')}</a></div><div class="dim small">{t('system.guide_help')}</div></li>}
                        <li><button type="button" class="link" onClick={download}>{t('system.openapi')}</button><div class="dim small">{t('system.openapi_help')}</div></li>
                        <li><div><a href="#/account">{t('system.tokens')}</a></div><div class="dim small">{t('system.tokens_help')}</div></li>
                        {may('accounts') && <li><div><a href="#/system/backup">{t('system.backup')}</a></div><div class="dim small">{t('system.backup_help')}</div></li>}
                        {may('configure') && <li><div><a href="#/system/import">{t('system.import')}</a></div><div class="dim small">{t('system.import_help')}</div></li>}
                    </ul>
                </Panel>
            </div>
            <Panel title={t('system.process_list')} flush>
                <Table label={t('system.process_list')} rows={all} keyOf={(p) => `${p.role} ${p.pid}`} columns={[
                    { id: 'role', title: t('system.role'), cell: (p) => <b>{p.role}{p.slot !== undefined ? ` ${p.slot}` : ''}</b>, sort: (p) => p.role },
                    { id: 'pid', title: 'PID', cell: (p) => p.pid ?? '', num: true, sort: (p) => p.pid },
                    { id: 'state', title: t('system.state'), cell: (p) => (p.state ? <Badge tone={p.state === 'ready' ? 'ok' : 'info'}>{tWord('process', p.state)}</Badge> : '') },
                    { id: 'generation', title: t('system.generation'), cell: (p) => p.generation || '', num: true, wideOnly: true },
                    { id: 'age', title: t('system.age'), cell: (p) => (p.age !== undefined ? duration(p.age) : ''), num: true, sort: (p) => p.age },
                ]} />
            </Panel>
        </>
    );
}
