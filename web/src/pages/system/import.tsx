// SPDX-License-Identifier: Apache-2.0
// Another server's configuration as one for this relay: files in, a text with notes out, which goes to the editor of the file as a change that is pending.
import { useState } from 'preact/hooks';
import { post } from '../../api';
import { Action, Badge, Empty, Failed, Field, Icon, Note, Panel, Table, useAsking } from '../../components';
import { draft, useDraft } from '../../forms/draft';
import { save, size } from '../../format';
import { t } from '../../i18n';
import { navigate } from '../../router';

interface Imported {
    config: string;
    taken: number;
    left_out: number;
    different: number;
    notes: { kind: string; file: string; line: number; text: string; why: string; todo: string }[];
}

const ALL_MAX = 8 << 20, COUNT_MAX = 500; /* as the relay has them */
const compiled = /\.(db|lmdb|cdb|dir|pag|mdb)$/;

/** Names below the folder that was chosen; what postmap made is left away, as the relay reads the texts. */
function named(list: File[]): [string, File][] {
    const all = list.filter((f) => !compiled.test(f.name)).map((f): [string, File] => [(f.webkitRelativePath || f.name).replace(/^.*?\//, ''), f]);
    return all.filter(([name]) => !name.split('/').some((part) => part.startsWith('.')));
}

export function Import() {
    useDraft();
    const [files, setFiles] = useState<[string, File][]>([]);
    const { answer, error, ask, clear } = useAsking<Imported>();
    const bytes = files.reduce((n, [, f]) => n + f.size, 0);
    const tooMuch = bytes > ALL_MAX || files.length > COUNT_MAX;
    const choose = (e: { currentTarget: HTMLInputElement }) => {
        for (const other of e.currentTarget.closest('.panel')!.querySelectorAll<HTMLInputElement>('input[type=file]')) if (other !== e.currentTarget) other.value = '';
        setFiles(named([...(e.currentTarget.files ?? [])]));
        clear();
    };
    const run = () => ask(async () => {
        const texts = await Promise.all(files.map(async ([name, f]) => [name, await f.text()] as const));
        return post<Imported>('/v1/import/postfix', { files: Object.fromEntries(texts.filter(([, text]) => !text.includes('\0'))) });
    });
    const edit = (text: string) => {
        draft.setText(text);
        navigate(['system', 'raw']);
    };
    return (
        <>
            <Panel title={t('system.import')}>
                <div class="stack">
                    <p class="help">{t('import.help')}</p>
                    <Field label={t('import.folder')} help={t('import.folder_help')}>{(p) => <input {...p} type="file" {...{ webkitdirectory: true }} onInput={choose} />}</Field>
                    <Field label={t('import.files')}>{(p) => <input {...p} type="file" multiple onInput={choose} />}</Field>
                    {files.length > 0 && <p class="help wrap">{t('import.chosen', { n: files.length, size: size(bytes) })} {files.slice(0, 30).map(([name]) => name).join(', ')}{files.length > 30 && ' …'}</p>}
                    {tooMuch && <Note tone="bad">{t('import.too_much')}</Note>}
                    <div class="row"><Action class="primary" run={run} disabled={!files.length || tooMuch}><Icon name="play" /> {t('import.run')}</Action></div>
                    {error !== undefined && <Failed error={error} />}
                </div>
            </Panel>
            {answer && <Result of={answer} edit={edit} />}
        </>
    );
}

function Result({ of, edit }: { of: Imported; edit: (text: string) => void }) {
    return (
        <>
            <Panel title={t('import.notes')} flush actions={<Badge tone={of.left_out ? 'warn' : 'ok'}>{t('import.counts', { taken: of.taken, left: of.left_out, different: of.different })}</Badge>}>
                <Table label={t('import.notes')} rows={[...of.notes].sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'left_out' ? -1 : 1))} keyOf={(n) => `${n.kind} ${n.file} ${n.line} ${n.text} ${n.why}`} empty={<Empty>{t('import.no_notes')}</Empty>} columns={[
                    { id: 'kind', title: t('import.kind'), tight: true, cell: (n) => <Badge tone={n.kind === 'left_out' ? 'warn' : 'info'}>{t(n.kind === 'left_out' ? 'import.left_out' : 'import.different')}</Badge>, sort: (n) => n.kind },
                    { id: 'place', title: t('import.place'), cell: (n) => <><span class="dim">{n.file}{n.line > 0 && `:${n.line}`}</span> <code class="wrap">{n.text}</code></>, sort: (n) => `${n.file} ${String(n.line).padStart(7, '0')}` },
                    { id: 'why', title: t('import.why'), cell: (n) => <span class="wrap">{n.why}{n.todo && <div class="dim small">→ {n.todo}</div>}</span> },
                ]} />
            </Panel>
            <Panel title={t('import.result')} actions={
                <span class="row">
                    <button type="button" onClick={() => save('postern.yaml', of.config)}><Icon name="download" /> {t('import.save')}</button>
                    <button type="button" class="primary" disabled={!draft.state.base} onClick={() => edit(of.config)}><Icon name="edit" /> {t('import.edit')}</button>
                </span>
            }>
                <div class="stack">
                    <p class="help">{t('import.edit_help')}</p>
                    {draft.pending() && <Note tone="warn">{t('import.pending')}</Note>}
                    <pre class="message-text" role="region" tabIndex={0} aria-label={t('import.result')}>{of.config}</pre>
                </div>
            </Panel>
        </>
    );
}
