// SPDX-License-Identifier: Apache-2.0
// What is pending: how much, what the checker says, and the dialog that shows the differences before they are applied.
import { useState } from 'preact/hooks';
import { ApiError } from '../api';
import { Action, Dialog, Diff, Icon, Note, ask, errorText, toast } from '../components';
import { t } from '../i18n';
import { href } from '../router';
import { may } from '../session';
import { draft } from './draft';
import type { Applied, Finding } from './draft';
import { lineDiff } from './linediff';
import { placeOf } from './pages';
import { steps } from './tree';

/** Where an option can be changed. */
export function linkTo(option: string): string {
    return href(placeOf(option), { option });
}

export function FindingList({ of }: { of: Finding[] }) {
    return (
        <ul class="plain finding-list">
            {of.map((f, i) => (
                <li key={i} class={`finding ${f.severity}`}>
                    <Icon name="warning" size={15} />
                    <span>
                        {f.option && steps(f.option).length > 0 ? <a href={linkTo(f.option)}><code>{f.option}</code></a> : f.line ? <code>{t('form.line', { n: f.line })}</code> : null} {f.text}
                        {f.hint && <span class="dim">; {f.hint}</span>}
                    </span>
                </li>
            ))}
        </ul>
    );
}

/** Asks, and drops all that is pending. */
export function askDiscard(): void {
    const n = draft.count();
    ask({ title: t('form.discard_title'), text: t('form.discard_text', { n }), button: t('form.discard'), danger: true, run: async () => draft.discard() });
}

export function PendingBar() {
    const [applying, setApplying] = useState(false);
    const [listed, setListed] = useState(false);
    const { checked, checking, text } = draft.state;
    if (!draft.pending() && !applying) return null;
    const n = draft.count(), found = checked?.findings ?? [];
    const errors = found.filter((f) => f.severity === 'error').length, warnings = found.length - errors;
    return (
        <div class="pending-bar" role="region" aria-label={t('form.pending_label')}>
            {listed && found.length > 0 && <FindingList of={found} />}
            <div class="row">
                <b>{text !== null ? t('form.text_pending') : t('form.pending', { n })}</b>
                <span role="status">
                    {checking ? <span class="dim"><span class="spin small-spin" aria-hidden="true" /> {t('form.checking')}</span>
                        : errors ? <span class="badge bad">{t('form.errors', { n: errors })}</span> : checked ? <span class="badge ok">{t('form.no_errors')}</span> : null}
                    {!checking && warnings > 0 && <> <span class="badge warn">{t('form.warnings', { n: warnings })}</span></>}
                </span>
                {found.length > 0 && !checking && <button type="button" class="link" aria-expanded={listed} onClick={() => setListed(!listed)}>{t(listed ? 'form.hide' : 'form.show')}</button>}
                <span class="grow" />
                <button type="button" onClick={askDiscard}>{t('form.discard')}</button>
                {may('configure') && <button type="button" class="primary" onClick={() => setApplying(true)}>{t('form.review')}</button>}
            </div>
            {applying && <ApplyDialog close={() => setApplying(false)} />}
        </div>
    );
}

/** Tells how it went; false: it is written, but the relay did not take it. */
export function tellApplied(answer: Applied): void {
    const reload = answer.reload;
    if (reload && !reload.ok) toast(t('form.applied_not_loaded', { text: reload.error ?? reload.findings?.[0]?.text ?? '' }));
    else toast(answer.revision ? t('form.applied_n', { x: answer.revision }) : t('form.applied'));
}

function ApplyDialog({ close }: { close: () => void }) {
    const [comment, setComment] = useState('');
    const [error, setError] = useState('');
    const { checked, checking, conflict, base } = draft.state;
    const found = checked?.findings ?? [], blocked = checking || !checked || found.some((f) => f.severity === 'error');
    const run = async () => {
        setError('');
        try {
            tellApplied(await draft.apply(comment.trim()));
            close();
        } catch (e) {
            if (e instanceof ApiError && e.status === 409 && draft.state.conflict) return;
            const more = e instanceof ApiError && Array.isArray(e.body.findings) ? (e.body.findings as Finding[]).map((f) => f.text).join(' ') : '';
            setError([errorText(e), more].filter(Boolean).join(' '));
        }
    };
    if (conflict) {
        const diff = lineDiff(base?.text ?? '', conflict.theirs.text);
        return (
            <Dialog wide title={t('form.conflict_title')} onClose={close}
                footer={<><button type="button" onClick={close}>{t('common.cancel')}</button><button type="button" class="primary" onClick={() => draft.rebase()}>{t('form.rebase')}</button></>}>
                <p>{t('form.conflict_text')}</p>
                <Diff text={diff} />
                {conflict.clashes.length > 0 && <Note tone="warn">{t('form.conflict_clashes', { x: conflict.clashes.join(', ') })}</Note>}
                {draft.state.text !== null && <Note tone="warn">{t('form.conflict_raw')}</Note>}
            </Dialog>
        );
    }
    return (
        <Dialog wide title={t('form.differences')} onClose={close}
            footer={<><button type="button" onClick={close}>{t('common.cancel')}</button><Action class="primary" run={run} disabled={blocked}>{t('form.apply')}</Action></>}>
            {checking ? <p class="dim" role="status">{t('form.checking')}</p> : <Diff text={checked?.diff ?? ''} />}
            {found.length > 0 && <FindingList of={found} />}
            <label class="stacked">{t('form.comment')}<input type="text" maxLength={200} value={comment} onInput={(e) => setComment(e.currentTarget.value)} /></label>
            {error && <Note tone="bad">{error}</Note>}
        </Dialog>
    );
}
