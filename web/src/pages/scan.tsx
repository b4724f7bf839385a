// SPDX-License-Identifier: Apache-2.0
// Looking into a message from a file, or one that was typed: what the relay sees in it. It is read by a process that can do no harm; here it is text.
import { useState } from 'preact/hooks';
import { post } from '../api';
import { AskForm, Badge, Facts, Field, FileField, MESSAGE_FILES, Note, Outcome, Panel } from '../components';
import { number, t, tWord } from '../i18n';
import { Found, Headers, Links, MessageText } from './quarantine_inside';
import type { Findings, Link } from './quarantine_inside';

interface Answer extends Findings {
    verdict?: string;
    subject?: string;
    judged?: boolean;
    score?: number;
    parts_more?: number;
    headers?: [string, string][];
    text?: string;
    links?: Link[];
    crashed?: boolean;
}

const MESSAGE_MAX = 64 << 20; /* bytes */

export function ScanForm() {
    const [file, setFile] = useState<File | null>(null),
        [text, setText] = useState('');
    const run = async () => {
        const body = file ?? new Blob([text]);
        if (body.size > MESSAGE_MAX) throw new Error(t('explain.too_large', { n: MESSAGE_MAX / 1024 }));
        return post<Answer>('/v1/scan', body);
    };
    return (
        <AskForm label={t('scan.tab')} button={t('scan.run')} about={[file, text]} disabled={!file && !text.trim()} run={run} show={(a) => <Result a={a} />}>
            <FileField label={t('scan.file')} accept={MESSAGE_FILES} onInput={setFile} />
            <Field label={t('scan.text')} help={t('scan.text_help')}>
                {(p) => <textarea {...p} rows={7} spellcheck={false} value={text} disabled={!!file} onInput={(e) => setText(e.currentTarget.value)} />}
            </Field>
        </AskForm>
    );
}

function Result({ a }: { a: Answer }) {
    if (a.crashed) return <Note tone="bad">{t('scan.crashed')}</Note>;
    return (
        <div class="stack">
            <Panel title={t('scan.result')}>
                <Facts
                    of={[
                        [t('scan.verdict'), a.verdict === 'block' ? <Badge tone="bad">{t('scan.block')}</Badge> : <Outcome word="pass" />],
                        [t('tracking.subject'), a.subject],
                        [t('scan.spam'), a.judged && `${number(a.score ?? 0, 2)} (${tWord('spam_class', a.class ?? 'none')})`],
                        [t('scan.parts_more'), a.parts_more],
                    ]}
                />
            </Panel>
            <Found f={a} />
            {a.headers && (
                <Panel title={t('quarantine.headers')}>
                    <Headers of={a.headers} />
                </Panel>
            )}
            <MessageText text={a.text} />
            <Links of={a.links} />
        </div>
    );
}
