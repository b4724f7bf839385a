// SPDX-License-Identifier: Apache-2.0
// A TLS report that somebody sent (RFC 8460), read on the relay by a process that can do no harm.
import { useState } from 'preact/hooks';
import { post } from '../api';
import { AskForm, Badge, Empty, Facts, FileField, Panel, Table } from '../components';
import { number, t } from '../i18n';

interface Detail {
    sessions: number;
    result?: string;
    mx?: string;
    from?: string;
    reason?: string;
}
interface Policy {
    domain?: string;
    type?: string;
    well: number;
    failed: number;
    details: Detail[];
}
interface Report {
    organization?: string;
    contact?: string;
    report_id?: string;
    start?: string;
    end?: string;
    policies: Policy[];
    more?: number;
}

export function TlsReport() {
    const [file, setFile] = useState<File | null>(null);
    const run = () => post<Report>('/v1/tls-report/show', file);
    return (
        <AskForm label={t('tls_report.tab')} button={t('tls_report.show')} about={[file]} disabled={!file} run={run} show={(r) => <Result r={r} />}>
            <p class="help">{t('tls_report.help')}</p>
            <FileField label={t('tls_report.file')} accept=".json,.gz,.eml" onInput={setFile} />
        </AskForm>
    );
}

function Result({ r }: { r: Report }) {
    return (
        <div class="stack">
            <Panel title={r.organization ?? t('tls_report.tab')}>
                <Facts
                    of={[
                        [t('tracking.period'), [r.start, r.end].filter(Boolean).join(' – ')],
                        [t('tls_report.contact'), r.contact],
                        [t('tls_report.id'), r.report_id],
                        [t('tls_report.more'), r.more],
                    ]}
                />
            </Panel>
            {!r.policies.length && <Empty />}
            {r.policies.map((p, i) => (
                <Panel
                    key={i}
                    title={
                        <>
                            {p.domain ?? '–'} <span class="dim">{p.type}</span>
                        </>
                    }
                    flush
                >
                    <div class="body">
                        {t('tls_report.well', { n: number(p.well) })} <Badge tone={p.failed ? 'bad' : 'ok'}>{t('tls_report.failed', { n: number(p.failed) })}</Badge>
                    </div>
                    {p.details.length > 0 && (
                        <Table
                            label={t('tls_report.failures')}
                            rows={p.details.map((d, k) => ({ ...d, k }))}
                            keyOf={(d) => String(d.k)}
                            columns={[
                                { id: 'sessions', title: t('tls_report.sessions'), num: true, sort: (d) => d.sessions, cell: (d) => number(d.sessions) },
                                { id: 'result', title: t('tls_report.result'), cell: (d) => [d.result, d.reason].filter(Boolean).join(': ') },
                                { id: 'mx', title: t('tls_report.mx'), cell: (d) => d.mx ?? '' },
                                { id: 'from', title: t('tls_report.from'), cell: (d) => d.from ?? '', wideOnly: true },
                            ]}
                        />
                    )}
                </Panel>
            ))}
        </div>
    );
}
