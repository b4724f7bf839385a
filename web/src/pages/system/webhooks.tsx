// SPDX-License-Identifier: Apache-2.0
// Trying the webhooks that are in force: each gets an event "test", and what it answered is told.
import { useState } from 'preact/hooks';
import { post } from '../../api';
import { Action, Badge, Panel, Table, attempt } from '../../components';
import { draft, useDraft } from '../../forms/draft';
import { duration } from '../../format';
import { t } from '../../i18n';

interface Tried {
    url: string;
    ok: boolean;
    status?: number;
    error?: string;
    ms: number;
}

export function Webhooks() {
    useDraft();
    const [tried, setTried] = useState<Tried[]>();
    const hooks = draft.written('webhooks');
    if (!Array.isArray(hooks) || !hooks.length) return null;
    const run = () => attempt(async () => setTried((await post<{ results: Tried[] }>('/v1/webhooks/test', {})).results));
    return (
        <Panel title={t('webhooks.title')} flush={!!tried} actions={<Action run={run}>{t('webhooks.test')}</Action>}>
            {!tried ? <p class="help">{t('webhooks.help')}</p> : (
                <Table label={t('webhooks.title')} rows={tried} keyOf={(x) => x.url} columns={[
                    { id: 'url', title: t('webhooks.url'), cell: (x) => <span class="wrap">{x.url}</span> },
                    { id: 'state', title: t('webhooks.answer'), cell: (x) => <Badge tone={x.ok ? 'ok' : 'bad'}>{[x.status, x.error].filter(Boolean).join(' ') || t('webhooks.ok')}</Badge> },
                    { id: 'ms', title: t('webhooks.took'), cell: (x) => duration(x.ms), num: true, tight: true },
                ]} />
            )}
        </Panel>
    );
}
