// SPDX-License-Identifier: Apache-2.0
// The texts that the relay writes: which there are, which are replaced by files, and how to replace one.
import { useState } from 'preact/hooks';
import { segment, useGet } from '../api';
import { Badge, Busy, CopyButton, CopyLine, Dialog, Failed, Panel, SelectField, Table } from '../components';
import { t, tWord } from '../i18n';

interface Notice {
    name: string;
    replaced: { language: string; file: string }[];
}
interface Notices {
    folder?: string;
    language: string;
    languages: string[];
    notices: Notice[];
}
interface Shown {
    placeholders: string[];
    text: string;
    builtin: string;
    replaced: boolean;
    folder?: string;
    file: string;
}

export function NoticesPanel() {
    const got = useGet<Notices>('/v1/notices');
    const [open, setOpen] = useState('');
    if (got.error) return <Failed error={got.error} retry={got.reload} />;
    if (!got.data) return <Busy />;
    const { notices, languages, language } = got.data;
    return (
        <Panel title={t('notices.title')} flush>
            <Table label={t('notices.title')} rows={notices} keyOf={(n) => n.name} columns={[
                { id: 'name', title: t('notices.name'), sort: (n) => n.name, cell: (n) => <button type="button" class="link" onClick={() => setOpen(n.name)}>{n.name}</button> },
                { id: 'about', title: t('notices.about'), cell: (n) => tWord('notice', n.name) },
                { id: 'replaced', title: t('notices.replaced'), cell: (n) => n.replaced.map((r) => <><Badge tone="info" title={r.file}>{r.language}</Badge> </>) },
            ]} />
            {open && <NoticeDialog name={open} languages={languages} first={notices.find((n) => n.name === open)?.replaced[0]?.language ?? language} close={() => setOpen('')} />}
        </Panel>
    );
}

function NoticeDialog({ name, languages, first, close }: { name: string; languages: string[]; first: string; close: () => void }) {
    const [language, setLanguage] = useState(first);
    const got = useGet<Shown>(`/v1/notices/${segment(name)}`, { language });
    const shown = got.data;
    return (
        <Dialog wide title={`${name}: ${tWord('notice', name)}`} onClose={close}>
            <SelectField label={t('notices.language')} value={language} onInput={setLanguage} words={languages.map((l) => [l, l])} />
            {got.error && <Failed error={got.error} retry={got.reload} />}
            {!shown && got.busy && <Busy />}
            {shown && (
                <div class="stack">
                    {shown.placeholders.length > 0 && <p class="help">{t('notices.braces')} <code>{shown.placeholders.map((p) => `{${p}}`).join(' ')}</code></p>}
                    <Text title={t(shown.replaced ? 'notices.own' : 'notices.builtin_used')} text={shown.text} />
                    {shown.replaced && <Text title={t('notices.builtin')} text={shown.builtin} />}
                    <div>
                        <p>{t(shown.replaced ? 'notices.is_in' : 'notices.how')}</p>
                        <CopyLine text={shown.file} />
                        {!shown.folder && <><p>{t('notices.option')}</p><CopyLine text={optionLine(shown.file)} /></>}
                        <p class="help">{t('notices.then')}</p>
                    </div>
                </div>
            )}
        </Dialog>
    );
}

/** Of FOLDER/LANGUAGE/NAME.txt. */
const optionLine = (file: string) => `notices.templates: ${file.split('/').slice(0, -2).join('/')}`;

function Text({ title, text }: { title: string; text: string }) {
    return (
        <div>
            <div class="row"><b class="grow">{title}</b><CopyButton text={text} /></div>
            <pre class="message-text" tabIndex={0} aria-label={title}>{text}</pre>
        </div>
    );
}
