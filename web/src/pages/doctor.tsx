// SPDX-License-Identifier: Apache-2.0
// What is wrong with the set-up, and how each thing is mended.
import { useState } from 'preact/hooks';
import { useGet } from '../api';
import { Badge, Busy, CopyButton, Failed, Icon, Note, PageHead, Panel } from '../components';
import type { Tone } from '../components';
import { RecordBox } from '../components/record';
import type { DnsRecord } from '../components/record';
import { linkTo } from '../forms/bar';
import { namesOf } from '../forms/field';
import { useDraft } from '../forms/draft';
import { t, tWord } from '../i18n';
import type { Key } from '../i18n';
import type { PageProps } from '../pages';
import '../forms/forms.css';

interface Found {
    id: string;
    subject: string;
    state: 'ok' | 'warning' | 'error' | 'unknown' | 'skipped';
    text: string;
    mend?: string;
    option?: string;
    records?: DnsRecord[];
}
interface Answer {
    findings: Found[];
    running: boolean;
}

const ORDER = ['error', 'warning', 'unknown', 'ok', 'skipped'];
const tones: Record<string, Tone> = { error: 'bad', warning: 'warn', ok: 'ok', unknown: 'info', skipped: '' };

export default function Doctor({ query, go }: PageProps) {
    const draft = useDraft();
    const [fresh, setFresh] = useState(false); /* not what was found in the last minute */
    const { data, error, busy, reload: again } = useGet<Answer>('/v1/doctor', { domain: query.domain, fresh: fresh || undefined });
    const reload = () => (fresh ? again() : setFresh(true));
    const [all, setAll] = useState(false);
    const found = [...(data?.findings ?? [])].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const count = (state: string) => found.filter((f) => f.state === state).length;
    const shown = found.filter((f) => all || f.state === 'error' || f.state === 'warning' || f.state === 'unknown');
    const domains = draft.state.base ? namesOf('domains') : [];
    return (
        <>
            <PageHead title={t('nav.doctor')} help={t('doctor.help')}>
                {domains.length > 0 && (
                    <select aria-label={t('doctor.domain')} value={query.domain ?? ''} onInput={(e) => go([], { domain: e.currentTarget.value || undefined })}>
                        <option value="">{t('doctor.all_domains')}</option>
                        {domains.map((d) => <option value={d} key={d}>{d}</option>)}
                    </select>
                )}
                <button type="button" onClick={reload} disabled={busy}><Icon name="refresh" /> {t('doctor.again')}</button>
            </PageHead>
            <div class="stack">
                {error && <Failed error={error} retry={reload} />}
                {busy && !data && <Panel><Busy /><p class="dim">{t('doctor.running')}</p></Panel>}
                {data && (
                    <>
                        {!count('error') && !count('warning') ? <Note tone="ok">{t('doctor.all_well', { n: count('ok') })}</Note> : (
                            <div class="row" role="status">
                                {ORDER.filter((s) => count(s) > 0).map((s) => <Badge key={s} tone={tones[s] ?? ''}>{t(`doctor.${s}` as Key)}: {count(s)}</Badge>)}
                            </div>
                        )}
                        <Panel label={t('nav.doctor')} flush>
                            {shown.map((f) => <Card key={`${f.id} ${f.subject}`} of={f} />)}
                            <div class="finding-card"><button type="button" class="link" aria-expanded={all} onClick={() => setAll(!all)}>{t(all ? 'doctor.less' : 'doctor.more', { n: found.length })}</button></div>
                        </Panel>
                    </>
                )}
            </div>
        </>
    );
}

function Card({ of }: { of: Found }) {
    const option = of.option;
    const command = /\b(postern [a-z][-\w]*(?: [-\w.@/]+)*)/.exec(of.mend ?? '')?.[1];
    return (
        <article class="finding-card">
            <div class="row"><Badge tone={tones[of.state] ?? ''}>{t(`finding_state.${of.state}` as Key)}</Badge><b>{tWord('finding', of.id)}</b>{of.subject && <code class="dim">{of.subject}</code>}</div>
            <div class="wrap">{of.text}</div>
            {of.mend && of.state !== 'ok' && <div class="row"><span class="wrap"><b>{t('doctor.mend')}</b> {of.mend}</span>{command && <CopyButton text={command} />}</div>}
            {of.records?.map((r) => <RecordBox key={r.host + r.value} record={r} />)}
            {option && of.state !== 'ok' && of.state !== 'skipped' && <div><a href={linkTo(option)}>{t('doctor.option')} <code>{option}</code></a></div>}
        </article>
    );
}
