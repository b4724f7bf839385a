// SPDX-License-Identifier: Apache-2.0
// Earlier files: what each changed, what it was, and going back to one.
import { useState } from 'preact/hooks';
import { get, useGet } from '../../api';
import { Action, Busy, Dialog, Diff, Failed, Note, Panel, Table, Time, errorText } from '../../components';
import { postAnyway } from '../../forms/anyway';
import { tellApplied } from '../../forms/bar';
import { draft, useDraft } from '../../forms/draft';
import type { Applied } from '../../forms/draft';
import { inverseDiff } from '../../forms/linediff';
import { save } from '../../format';
import { t } from '../../i18n';
import { may } from '../../session';

interface Revision {
    revision: number;
    time: number;
    user?: string;
    before?: string;
    comment?: string;
}

export function Revisions() {
    useDraft();
    const { data, error, reload } = useGet<{ revisions: Revision[] }>('/v1/config/history');
    const [open, setOpen] = useState<Revision | null>(null);
    const list = data?.revisions;
    if (error && !list) return <Failed error={error} retry={reload} />;
    if (!list) return <Busy />;
    const sorted = [...list].sort((a, b) => b.revision - a.revision);
    return (
        <Panel title={t('system.revisions')} flush>
            <Table label={t('system.revisions')} rows={sorted} keyOf={(r) => String(r.revision)} onOpen={setOpen} empty={<p class="body dim">{t('revision.none')}</p>} columns={[
                { id: 'revision', title: t('revision.number'), cell: (r) => <button type="button" class="link" onClick={() => setOpen(r)}>{r.revision}</button>, num: true, tight: true, sort: (r) => r.revision },
                { id: 'time', title: t('revision.time'), cell: (r) => <Time ms={r.time} full />, sort: (r) => r.time },
                { id: 'user', title: t('revision.user'), cell: (r) => r.user ?? '', tight: true, sort: (r) => r.user },
                { id: 'before', title: t('revision.before'), cell: (r) => <span class="wrap">{changeOf(r)}</span>, wideOnly: true },
            ]} />
            {open && <RevisionDialog of={open} close={() => setOpen(null)} done={() => { setOpen(null); reload(); }} />}
        </Panel>
    );
}

/** A revision is the text before a change, and named by that. */
function changeOf(r: Revision): string {
    return [r.before, r.comment].filter(Boolean).join(' · ') || '–';
}

function RevisionDialog({ of, close, done }: { of: Revision; close: () => void; done: () => void }) {
    const diff = useGet<{ diff: string }>('/v1/config/diff', { from: of.revision });
    const [error, setError] = useState('');
    const rollback = async () => {
        setError('');
        try {
            tellApplied(await postAnyway<Applied>('/v1/config/rollback', { revision: of.revision, version: draft.state.base?.version }));
            await draft.refresh();
            done();
        } catch (e) {
            setError(errorText(e));
            void draft.refresh();
        }
    };
    const download = async () => {
        try {
            save(`postern-${of.revision}.yaml`, (await get<{ text: string }>('/v1/config/revision', { revision: of.revision })).text);
        } catch (e) {
            setError(errorText(e));
        }
    };
    return (
        <Dialog wide title={t('revision.title', { x: of.revision })} onClose={close} footer={
            <>
                <Action run={download}>{t('revision.download')}</Action>
                <button type="button" onClick={close}>{t('common.close')}</button>
                {may('configure') && <Action class="primary" run={rollback}>{t('revision.rollback')}</Action>}
            </>
        }>
            <p class="wrap"><b>{t('revision.before_x', { x: changeOf(of) })}</b> {t('revision.help')}</p>
            {draft.pending() && <Note tone="warn">{t('revision.pending')}</Note>}
            {diff.error ? <Failed error={diff.error} retry={diff.reload} /> : diff.data ? <Diff text={inverseDiff(diff.data.diff, t('revision.present'), t('revision.title', { x: of.revision }))} /> : <Busy />}
            {error && <Note tone="bad">{error}</Note>}
        </Dialog>
    );
}
