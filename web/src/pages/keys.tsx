// SPDX-License-Identifier: Apache-2.0
// Certificates with their ends, DKIM keys with the records to publish, and the options beside them.
import { useState } from 'preact/hooks';
import { post, useGet } from '../api';
import { Action, Badge, Busy, Dialog, Failed, FormDialog, Icon, Panel, Table, Time, ask, attempt, toast } from '../components';
import { RecordBox } from '../components/record';
import type { DnsRecord } from '../components/record';
import { draft, useDraft } from '../forms/draft';
import { namesOf } from '../forms/field';
import { OptionsPage } from '../forms/page';
import { t } from '../i18n';
import type { PageProps } from '../pages';
import { may } from '../session';
import { certificateTone, daysLeft } from './certificates';
import type { Certificate } from './certificates';

interface DkimKey {
    domain: string;
    selector: string;
    type: string;
    bits?: number;
    file: string;
    active: boolean;
    record?: DnsRecord;
    error?: string;
}
interface Keys {
    dkim: DkimKey[];
    certificates: Certificate[];
}
interface Checked {
    domain: string;
    selector: string;
    published: boolean;
    matches: boolean;
    found?: string;
    error?: string;
}

export default function KeysPage(props: PageProps) {
    const keys = useGet<Keys>('/v1/keys');
    return (
        <OptionsPage {...props} id="keys" title="nav.keys" help="keys.help" tabs={[
            { id: 'tls', title: t('keys.tls'), top: () => <Certificates keys={keys.data} error={keys.error} retry={keys.reload} /> },
            { id: 'signing', title: t('keys.signing'), top: () => <Dkim keys={keys.data} error={keys.error} retry={keys.reload} /> },
            { id: 'srs', title: t('keys.srs') },
        ]} />
    );
}

interface ListArgs {
    keys: Keys | undefined;
    error: unknown;
    retry: () => void;
}

function Expiry({ of }: { of: Certificate }) {
    if (of.error) return <Badge tone="bad">{of.error}</Badge>;
    if (!of.not_after) return <>–</>;
    const days = daysLeft(of);
    return <><Time ms={of.not_after} full /> <Badge tone={certificateTone(of)}>{days < 0 ? t('keys.expired') : t('keys.days_left', { n: days })}</Badge></>;
}

function Certificates({ keys, error, retry }: ListArgs) {
    if (error) return <Failed error={error} retry={retry} />;
    if (!keys) return <Busy />;
    return (
        <Panel title={t('keys.certificates')} flush>
            <Table label={t('keys.certificates')} rows={keys.certificates} keyOf={(c) => c.name} sort="not_after" empty={<p class="body dim">{t('keys.no_certificates')}</p>} columns={[
                { id: 'name', title: t('keys.used_by'), cell: (c) => <><code>{c.name}</code><div class="dim small wrap">{c.file}</div></>, sort: (c) => c.name },
                { id: 'names', title: t('keys.names'), cell: (c) => <>{(c.names?.length ? c.names : [c.subject ?? '']).join(', ')} {c.self_signed && <Badge tone="warn">{t('keys.self_signed')}</Badge>}</> },
                { id: 'issuer', title: t('keys.issuer'), cell: (c) => c.issuer ?? '', wideOnly: true },
                { id: 'not_after', title: t('keys.ends'), cell: (c) => <Expiry of={c} />, sort: (c) => c.not_after ?? 0 },
            ]} />
        </Panel>
    );
}

function Dkim({ keys, error, retry }: ListArgs) {
    useDraft();
    const [making, setMaking] = useState(false);
    const [shown, setShown] = useState<{ title: string; record: DnsRecord } | null>(null);
    const [checks, setChecks] = useState<Checked[]>([]);
    if (error) return <Failed error={error} retry={retry} />;
    if (!keys) return <Busy />;
    const check = (k?: DkimKey) => attempt(async () => {
        const domains = k ? [k] : keys.dkim;
        const all = await Promise.all(domains.map((d) => post<{ results: Checked[] }>('/v1/keys/dkim/check', { domain: d.domain, selector: d.selector })));
        const got = all.flatMap((a) => a.results);
        setChecks((old) => [...old.filter((c) => !got.some((g) => g.domain === c.domain && g.selector === c.selector)), ...got]);
    });
    const after = () => {
        retry();
        void draft.refresh();
    };
    /* or, of a key that waits, only that it signs */
    const rotate = ({ domain, selector, active }: DkimKey) => ask({
        ...(active ? { title: t('keys.rotate_title', { x: domain }), text: t('keys.rotate_text'), button: t('keys.rotate') }
            : { title: t('keys.use_title', { x: `${selector}._domainkey.${domain}` }), text: t('keys.use_text'), button: t('keys.use') }),
        run: async () => {
            const answer = await post<{ step: string; record?: DnsRecord; old?: { selector: string }[] }>('/v1/keys/dkim/rotate', { domain, ...(!active && { selector }) });
            after();
            const old = answer.old?.map((k) => `${k.selector}._domainkey.${domain}`).join(', ') ?? '';
            if (answer.step === 'prepared' || answer.step === 'waiting') setShown({ title: domain, record: answer.record! });
            else toast(t(`rotated.${answer.step as 'retire'}`, { x: domain, old }));
        },
    });
    return (
        <Panel title={t('keys.dkim')} flush actions={
            <>
                {keys.dkim.length > 0 && <Action run={() => check()}>{t('keys.check_all')}</Action>}
                {may('configure') && <button type="button" class="primary" onClick={() => setMaking(true)}><Icon name="plus" /> {t('keys.new')}</button>}
            </>
        }>
            <Table label={t('keys.dkim')} rows={keys.dkim} keyOf={(k) => `${k.selector}._domainkey.${k.domain}`} sort="domain" empty={<p class="body dim">{t('keys.no_dkim')}</p>} columns={[
                { id: 'domain', title: t('keys.domain'), cell: (k) => <b>{k.domain}</b>, sort: (k) => k.domain },
                { id: 'selector', title: t('keys.selector'), cell: (k) => <>{k.selector} {k.active ? <Badge tone="ok">{t('keys.active')}</Badge> : <Badge>{t('keys.inactive')}</Badge>}</>, sort: (k) => k.selector },
                { id: 'type', title: t('keys.type'), cell: (k) => `${k.type}${k.bits && k.type === 'rsa' ? ` ${k.bits}` : ''}`, wideOnly: true },
                { id: 'state', title: t('keys.state'), cell: (k) => (k.error ? <Badge tone="bad">{k.error}</Badge> : <Published of={checks.find((c) => c.domain === k.domain && c.selector === k.selector)} />) },
                {
                    id: 'actions', title: t('keys.actions'), tight: true, cell: (k) => (
                        <span class="row nowrap-row">
                            {k.record && <button type="button" onClick={() => setShown({ title: `${k.selector}._domainkey.${k.domain}`, record: k.record! })}>{t('keys.record')}</button>}
                            <Action run={() => check(k)}>{t('keys.check')}</Action>
                            {may('configure') && <button type="button" onClick={() => rotate(k)}>{t(k.active ? 'keys.rotate' : 'keys.use')}</button>}
                        </span>
                    ),
                },
            ]} />
            {making && <NewKey close={() => setMaking(false)} made={(title, record) => { after(); if (record) setShown({ title, record }); }} />}
            {shown && <Dialog wide title={t('keys.record_title', { x: shown.title })} onClose={() => setShown(null)}><p>{t('keys.record_help')}</p><RecordBox record={{ type: 'TXT', ...shown.record }} /></Dialog>}
        </Panel>
    );
}

function Published({ of }: { of: Checked | undefined }) {
    if (!of) return <span class="dim">{t('keys.not_checked')}</span>;
    if (of.error) return <Badge tone="warn" title={of.found}>{of.error}</Badge>;
    if (of.matches) return <Badge tone="ok">{t('keys.published')}</Badge>;
    return <Badge tone="bad" title={of.found}>{t(of.published ? 'keys.other_record' : 'keys.not_published')}</Badge>;
}

function NewKey({ close, made }: { close: () => void; made: (domain: string, record?: DnsRecord) => void }) {
    const [domain, setDomain] = useState('');
    const [selector, setSelector] = useState('');
    const [type, setType] = useState('');
    const run = async () => made(domain, (await post<{ record?: DnsRecord }>('/v1/keys/dkim', { domain, ...(selector && { selector }), ...(type && { type }) })).record);
    return (
        <FormDialog title={t('keys.new')} button={t('keys.make')} disabled={!domain} run={run} close={close}>
            <div class="form">
                <label class="stacked">{t('keys.domain')}<input type="text" list="key-domains" autofocus spellcheck={false} value={domain} onInput={(e) => setDomain(e.currentTarget.value.trim())} /></label>
                <datalist id="key-domains">{namesOf('domains').map((d) => <option value={d} key={d} />)}</datalist>
                <label class="stacked">{t('keys.selector')}<input type="text" spellcheck={false} placeholder={t('keys.selector_auto')} value={selector} onInput={(e) => setSelector(e.currentTarget.value.trim())} /></label>
                <label class="stacked">{t('keys.type')}
                    <select value={type} onInput={(e) => setType(e.currentTarget.value)}>
                        <option value="">{t('keys.type_auto')}</option><option value="rsa">RSA</option><option value="ed25519">Ed25519</option>
                    </select>
                </label>
                <p class="help">{t('keys.new_help')}</p>
            </div>
        </FormDialog>
    );
}
