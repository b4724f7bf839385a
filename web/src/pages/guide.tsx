// SPDX-License-Identifier: Apache-2.0
// The set-up guide: from a domain to the first message, one step after another. What it changes is applied at once at the end.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, post, useGet } from '../api';
import { Action, Badge, Busy, Check, Diff, Facts, Failed, Icon, Note, Outcome, PageHead, Panel, SelectField, TextField, errorText, toast, useAsking } from '../components';
import { RecordBox } from '../components/record';
import type { DnsRecord } from '../components/record';
import { FindingList, askDiscard, tellApplied } from '../forms/bar';
import { draft, useDraft } from '../forms/draft';
import { hostPort } from '../forms/group';
import { duration, hopName } from '../format';
import { isMap, join, steps as stepsOf } from '../forms/tree';
import type { Tree } from '../forms/tree';
import { t, tWord } from '../i18n';
import type { Key } from '../i18n';
import type { PageProps } from '../pages';
import { href } from '../router';
import { may } from '../session';
import '../forms/forms.css';

interface Probe {
    ok: boolean;
    steps: { step: string; ok: boolean; text: string; ms: number }[];
    extensions: string[];
    tls?: { version: string; cipher: string; names: string[]; verified: boolean };
}

const names = ['domain', 'server', 'recipients', 'records', 'apply', 'test'] as const;
type Step = (typeof names)[number];
const STRANGER = '203.0.113.1'; /* of nobody (RFC 5737) */
interface Explained {
    recipients?: { recipient: string; outcome: string; code?: number; status?: string; text?: string; why?: string }[];
}
const DOMAIN = /^(?=.{3,253}$)([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}$/i;
const MAILBOX = /^[^@\s]+@([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}$/i;

const indexIn = (list: Tree | undefined, domain: string) => (Array.isArray(list) ? list.findIndex((x) => isMap(x) && x.name === domain) : -1);
const isKnown = (domain: string) => indexIn(draft.value('domains'), domain) >= 0;
const isWritten = (domain: string) => indexIn(draft.written('domains'), domain) >= 0; /* in the file already */

/** Where the domain is in the list, or where it would be appended. */
function place(domain: string): string {
    const list = draft.value('domains'), at = indexIn(list, domain);
    return join('domains', at >= 0 ? at : Array.isArray(list) ? list.length : 0);
}

const serverOf = (domain: string) => textOf(draft.value(join(place(domain), 'deliver'))) || textOf(draft.value('inner_host'));

/** Without a server it would be an error wherever one goes next. */
function dropIncomplete(domain: string): void {
    if (!draft.state.base || !isKnown(domain) || isWritten(domain) || serverOf(domain)) return;
    const list = draft.value('domains');
    const alone = Array.isArray(list) && list.length === 1 && draft.written('domains') === undefined;
    draft.set(alone ? 'domains' : place(domain), undefined);
}

/** The domain that is set up has this name from now on: one that is not in the file yet is renamed. */
function nameDomain(before: string, name: string): void {
    if (isKnown(name)) {
        if (before !== name) dropIncomplete(before);
        return;
    }
    const path = before && isKnown(before) && !isWritten(before) ? place(before) : place(name);
    draft.set(join(path, 'name'), name);
}

function textOf(value: Tree | undefined): string {
    if (typeof value === 'string') return value;
    return isMap(value) ? hostPort(value) : '';
}

/** "mail:2525" -> host and port. */
function split(server: string): { host: string; port?: number } {
    const found = /^(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?$/.exec(server.trim());
    if (!found) return { host: server.trim() };
    return { host: (found[1] ?? found[2])!, ...(found[3] && { port: Number(found[3]) }) };
}

/** How far one can go: to the server once there is a domain, and on once that has one. */
function reach(domain: string): number {
    if (!isKnown(domain)) return 0; /* as after the page was loaded anew */
    return isWritten(domain) || serverOf(domain) ? names.length - 1 : 1;
}

export default function Guide({ rest, go, query }: PageProps) {
    useDraft();
    const { base, error } = draft.state;
    const domain = query.domain ?? '';
    const [typed, setTyped] = useState(domain);
    const mine = useRef(domain); /* also where one went back to an address without it */
    if (domain) mine.current = domain;
    useEffect(() => {
        if (domain) setTyped(domain);
    }, [domain]);
    useEffect(() => () => dropIncomplete(mine.current), []);
    const wanted = names.findIndex((n) => n === rest[0]), at = Math.max(0, Math.min(wanted, reach(domain)));
    const step = names[at]!;
    const name = typed.toLowerCase(), ready = fitsFirst(typed) && (may('configure') || isKnown(name));
    /** From the first step one takes along what is typed there, whichever way one leaves it. */
    const leave = (to: Step) => {
        if (to === step) return;
        if (step !== 'domain') return go([to], { domain });
        if (may('configure')) nameDomain(mine.current, name);
        go([to], { domain: name });
    };
    const next = () => leave(names[at + 1] ?? 'test');
    const far = step !== 'domain' ? reach(domain) : !ready ? 0 : isKnown(name) ? reach(name) : isWritten(mine.current) ? 1 : Math.max(1, reach(mine.current));
    if (error && !base) return <Failed error={error} retry={() => void draft.load()} />;
    if (!base) return <Busy />;
    if (draft.state.text !== null) return <Note tone="warn">{t('form.raw_first')} <a href="#/system/raw">{t('system.raw')}</a></Note>;
    const body = { domain, next };
    return (
        <>
            <PageHead title={t('nav.guide')} help={t('guide.help')} />
            <nav aria-label={t('nav.guide')}>
                <ol class="steps">
                    {names.map((n, i) => (
                        <li key={n}><button type="button" aria-current={n === step ? 'step' : undefined} disabled={i > far} onClick={() => leave(n)}>{i + 1}. {t(`guide.${n}`)}</button></li>
                    ))}
                </ol>
            </nav>
            {!may('configure') && <Note tone="warn">{t('guide.read_only')}</Note>}
            {draft.pending() && step !== 'apply' && (
                <p class="row"><span class="dim">{t('guide.pending', { n: draft.count() })}</span><button type="button" class="link" onClick={askDiscard}>{t('form.discard')}</button></p>
            )}
            {step === 'domain' && <DomainStep domain={typed} setDomain={setTyped} ready={ready} next={next} />}
            {step === 'server' && <ServerStep key={domain} {...body} />}
            {step === 'recipients' && <RecipientsStep {...body} />}
            {step === 'records' && <RecordsStep {...body} />}
            {step === 'apply' && <ApplyStep {...body} />}
            {step === 'test' && <TestStep {...body} />}
        </>
    );
}

interface StepArgs {
    domain: string;
    next: () => void;
}

const textAt = (option: string) => String(draft.value(option) ?? '');
const fitsMaster = () => !textAt('postmaster') || MAILBOX.test(textAt('postmaster'));
/** Is what the first step asks for as it should be? */
const fitsFirst = (domain: string) => DOMAIN.test(domain) && DOMAIN.test(textAt('hostname')) && fitsMaster();

/** The relay's own options are kept as they are typed; the domain when one goes on, as it may be one of those that are there. */
function DomainStep({ domain, setDomain, ready, next }: { domain: string; setDomain: (v: string) => void; ready: boolean; next: () => void }) {
    const hostname = textAt('hostname'), disabled = !may('configure');
    const take = (option: string) => (v: string) => draft.set(option, v.trim() || undefined);
    const submit = (e: Event) => {
        e.preventDefault();
        if (ready) next();
    };
    return (
        <Panel title={t('guide.domain')}>
            <form class="form" onSubmit={submit}>
                <TextField label={t('guide.domain_label')} help={t('guide.domain_help')} value={domain} onInput={(v) => setDomain(v.trim())} placeholder="example.com" autofocus error={domain && !DOMAIN.test(domain) ? t('guide.domain_odd') : undefined} />
                <TextField label={t('guide.hostname_label')} help={t('guide.hostname_help')} value={hostname} onInput={take('hostname')} disabled={disabled} placeholder="mx.example.com" error={hostname && !DOMAIN.test(hostname) ? t('guide.domain_odd') : undefined} />
                <TextField label={t('guide.postmaster_label')} help={t('guide.postmaster_help', { x: hostname || 'mx.example.com' })} value={textAt('postmaster')} onInput={take('postmaster')} disabled={disabled} placeholder={`postmaster@${domain || 'example.com'}`} error={!fitsMaster() ? t('guide.postmaster_odd') : undefined} />
                <p><button type="submit" class="primary" disabled={!ready}>{t('guide.next')}</button></p>
            </form>
        </Panel>
    );
}

/** Whether it takes mail is known only where a recipient was asked for. */
function ProbeResult({ of }: { of: Probe }) {
    const asked = of.steps.some((s) => s.step === 'recipient');
    return (
        <>
            <Note tone={of.ok ? 'ok' : 'bad'}>{t(!of.ok ? 'guide.server_failed' : asked ? 'guide.server_ok' : 'guide.server_connects')}</Note>
            <ol class="step-list">
                {of.steps.map((s, i) => (
                    <li key={i}><span class={s.ok ? 'good' : 'poor'}><Icon name={s.ok ? 'check' : 'close'} size={16} /><span class="hidden-text">{t(s.ok ? 'guide.step_ok' : 'guide.step_failed')}</span></span>
                        <b>{tWord('probe', s.step)}</b><span class="wrap">{s.text}</span><span class="dim nowrap">{duration(s.ms)}</span></li>
                ))}
            </ol>
            {of.tls && <Facts of={[['TLS', `${of.tls.version} ${of.tls.cipher}`], [t('keys.names'), of.tls.names?.join(', ')], [t('guide.verified'), t(of.tls.verified ? 'form.yes' : 'form.no')]]} />}
            {of.extensions?.length > 0 && <p class="help">EHLO: {of.extensions.join(', ')}</p>}
        </>
    );
}

function ServerStep({ domain, next }: StepArgs) {
    const path = join(place(domain), 'deliver');
    const [server, setServer] = useState(serverOf(domain));
    const [recipient, setRecipient] = useState('');
    const { answer: probe, error, ask, clear } = useAsking<Probe>();
    const take = (text: string) => {
        setServer(text);
        clear();
        draft.set(path, text.trim() || undefined);
    };
    const choose = (text: string) => {
        setRecipient(text.trim());
        clear();
    };
    const test = () => ask(() => post<Probe>('/v1/probe', { ...split(server), ...(recipient && { recipient }) }));
    return (
        <Panel title={t('guide.server')}>
            <div class="form">
                <TextField label={t('guide.server_label', { x: domain })} help={t('guide.server_help')} value={server} onInput={take} placeholder="mail.inside.example.com" autofocus />
                <TextField label={t('guide.recipient_label')} help={t('guide.recipient_help')} value={recipient} onInput={choose} placeholder={`postmaster@${domain}`} />
            </div>
            <p class="row">
                <Action run={test} disabled={!server.trim() || !may('configure')}>{t('guide.test_server')}</Action>
                <button type="button" class="primary" disabled={!server.trim()} onClick={next}>{t('guide.next')}</button>
            </p>
            <div aria-live="polite">
                {error !== undefined && <Note tone="bad">{errorText(error)}</Note>}
                {probe && <ProbeResult of={probe} />}
            </div>
        </Panel>
    );
}

const LDAP_EXAMPLES = {
    url: 'ldaps://dc1.inside.example.com', base: 'dc=example,dc=com', filter: '(|(mail=%s)(proxyAddresses=smtp:%s))', user_dn: 'cn=relay,ou=services,dc=example,dc=com', password_file: '/etc/postern/ldap.password',
};

function RecipientsStep({ domain, next }: StepArgs) {
    const path = join(place(domain), 'recipients'), how = String(draft.value(join(path, 'verify')) ?? 'off');
    const list = draft.value(join(path, 'list'));
    const entries = Array.isArray(list) ? list.map((x) => String(isMap(x) ? x.match ?? '' : x)) : [];
    const [typed, setTyped] = useState(entries.join('\n'));
    useEffect(() => { /* where nothing was said yet, the inner server is asked */
        if (may('configure') && draft.value(path) === undefined && (draft.effective(join(path, 'verify')) ?? 'off') === 'off') draft.set(join(path, 'verify'), 'smtp');
    }, [path]);
    const choose = (to: string) => {
        draft.set(join(path, 'verify'), to);
        if (to !== 'list') draft.set(join(path, 'list'), undefined);
    };
    const take = (text: string) => {
        setTyped(text);
        const lines = text.split('\n').map((l) => l.trim()).filter(Boolean);
        draft.set(join(path, 'list'), lines.length ? lines.map((match) => ({ match })) : undefined);
    };
    return (
        <Panel title={t('guide.recipients')}>
            <p>{t('guide.recipients_why')}</p>
            <div class="form">
                <SelectField label={t('guide.verify')} help={t(`guide.verify_${how}` as Key)} value={how} onInput={choose} words={['smtp', 'list', 'ldap', 'off'].map((w) => [w, t(`guide.word_${w}` as Key)])} />
                {how === 'list' && <label class="stacked">{t('guide.list_label')}<textarea rows={8} spellcheck={false} value={typed} placeholder={`anna@${domain}\nsales@${domain}`} onInput={(e) => take(e.currentTarget.value)} /></label>}
                {how === 'ldap' && (['url', 'base', 'filter', 'user_dn', 'password_file'] as const).map((name) => (
                    <TextField key={name} label={t(`guide.ldap_${name}`)} help={t(`guide.ldap_${name}_help`)} placeholder={LDAP_EXAMPLES[name]} value={String(draft.value(join(path, `ldap.${name}`)) ?? '')} onInput={(v) => draft.set(join(path, `ldap.${name}`), v || undefined)} />
                ))}
            </div>
            <p><button type="button" class="primary" onClick={next}>{t('guide.next')}</button></p>
        </Panel>
    );
}

function RecordsStep({ domain, next }: StepArgs) {
    const { data, error, reload } = useGet<{ records: (DnsRecord & { id: string })[] }>('/v1/records', { domain, fresh: true }, 6000);
    const [makeError, setMakeError] = useState('');
    const all = data?.records ?? [];
    /* whoever has begun with MTA-STS has some record of it; all others do well without */
    const optional = (r: { id: string; state?: string }) => r.id === 'mta-sts' && r.state === 'missing' && !all.some((x) => x.id === 'mta-sts' && x.state !== 'missing');
    const wanted = all.filter((r) => !optional(r)), good = wanted.filter((r) => r.state === 'ok').length;
    const make = async () => {
        setMakeError('');
        try {
            await post('/v1/keys/dkim', { domain });
            toast(t('guide.dkim_made', { x: domain }));
            await draft.refresh();
            reload();
        } catch (e) {
            setMakeError(errorText(e));
        }
    };
    return (
        <Panel title={t('guide.records')} actions={data && <Badge tone={good === wanted.length ? 'ok' : 'warn'}>{t('guide.records_n', { x: good, n: wanted.length })}</Badge>}>
            <p>{t('guide.records_why')}</p>
            {error && <Failed error={error} retry={reload} />}
            {!data && !error && <Busy />}
            <div class="records-list" aria-live="polite">{all.map((r) => <RecordBox key={r.id + r.host} title={tWord('record_id', r.id)} record={r} optional={optional(r)} />)}</div>
            {data && may('configure') && !all.some((r) => r.id === 'dkim') && <div class="row"><Action run={make}>{t('guide.dkim_make')}</Action><span class="dim">{t('guide.dkim_help')}</span></div>}
            {makeError && <Note tone="bad">{makeError}</Note>}
            <p class="row"><span class="dim grow">{t('guide.records_again')}</span><button type="button" class="primary" onClick={next}>{t('guide.next')}</button></p>
        </Panel>
    );
}

function ApplyStep({ next }: StepArgs) {
    const [error, setError] = useState('');
    const { checked, checking } = draft.state, found = checked?.findings ?? [];
    const blocked = checking || !checked || found.some((f) => f.severity === 'error');
    const run = async () => {
        setError('');
        try {
            tellApplied(await draft.apply(t('nav.guide')));
            next();
        } catch (e) {
            setError(errorText(e));
            if (draft.state.conflict) draft.rebase();
        }
    };
    if (!draft.pending()) return <Panel title={t('guide.apply')}><Note tone="ok">{t('guide.nothing_pending')}</Note><p class="row"><button type="button" class="primary" onClick={next}>{t('guide.next')}</button></p></Panel>;
    return (
        <Panel title={t('guide.apply')}>
            <p>{t('guide.apply_why')}</p>
            {checking ? <p class="dim" role="status">{t('form.checking')}</p> : <Diff text={checked?.diff ?? ''} />}
            <FindingList of={found.filter((f) => !f.option || stepsOf(f.option).length > 0)} />
            {error && <Note tone="bad">{error}</Note>}
            <p><Action class="primary" run={run} disabled={blocked || !may('configure')}>{t('form.apply')}</Action></p>
        </Panel>
    );
}

interface SentEvent {
    kind: string;
    time: number;
    code?: number;
    text?: string;
    host?: string;
}

/** What becomes of a message, until it has arrived or failed; what waits is tried again, and looked at again. */
function SentStory({ id }: { id: string }) {
    const [events, setEvents] = useState<SentEvent[]>([]);
    useEffect(() => {
        let timer: ReturnType<typeof setTimeout> | undefined, gone = false;
        const look = async () => {
            let last: SentEvent | undefined;
            try {
                const found = await get<{ messages: { events?: SentEvent[] }[] }>('/v1/trace', { id }, { background: true });
                const all = found.messages.flatMap((m) => m.events ?? []);
                if (gone) return;
                setEvents(all);
                last = all[all.length - 1];
            } catch {
                /* it is asked again */
            }
            if (!gone && last?.kind !== 'delivered' && last?.kind !== 'bounced') timer = setTimeout(() => void look(), last ? 10000 : 1000);
        };
        void look();
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [id]);
    const last = events[events.length - 1];
    return (
        <>
            <p class="row"><Outcome word={last?.kind ?? 'accepted'} />{!last && <span class="dim">{t('guide.on_its_way')}</span>}<a href={href(['tracking', id])}>{t('guide.story')}</a></p>
            {last && (last.code || last.text) && <p class="reply mono small">{last.host ? `${hopName(last.host)}: ` : ''}{last.code ? `${last.code} ` : ''}{last.text}</p>}
        </>
    );
}

function TestStep({ domain }: StepArgs) {
    const [recipient, setRecipient] = useState(`postmaster@${domain}`);
    const [explained, setExplained] = useState<Explained | null>(null);
    const [probe, setProbe] = useState<Probe | null>(null);
    const [sure, setSure] = useState(true);
    const [error, setError] = useState('');
    const [sent, setSent] = useState('');
    const deliver = split(serverOf(domain));
    const run = async () => {
        setError('');
        setExplained(null);
        setProbe(null);
        try {
            setExplained(await post<Explained>('/v1/explain', { client: STRANGER, from: 'test@example.net', to: [recipient] }));
            if (sure) setProbe(await post<Probe>('/v1/probe', { ...deliver, recipient }));
        } catch (e) {
            setError(errorText(e));
        }
    };
    const send = async () => {
        setError('');
        setSent('');
        try {
            setSent((await post<{ id: string }>('/v1/test-message', { to: recipient })).id);
        } catch (e) {
            setError(errorText(e));
        }
    };
    return (
        <Panel title={t('guide.test')}>
            <div class="form">
                <TextField label={t('guide.test_to')} help={t('guide.test_help')} value={recipient} onInput={(v) => setRecipient(v.trim())} />
                <Check label={t('guide.test_inner')} checked={sure} onInput={setSure} />
            </div>
            <p class="row"><Action class="primary" run={run} disabled={!recipient.includes('@') || !may('configure')}>{t('guide.test_run')}</Action></p>
            {error && <Note tone="bad">{error}</Note>}
            {explained?.recipients?.map((r) => (
                <Note key={r.recipient} tone={r.outcome === 'pass' || r.outcome === 'accept' ? 'ok' : 'warn'}>
                    <b>{t('guide.verdict')}</b> {[r.code, r.status, r.text || r.outcome, r.why].filter(Boolean).join(' ')} <a href={href(['explain'], { client: STRANGER, from: 'test@example.net', to: recipient })}>{t('guide.explain')}</a>
                </Note>
            ))}
            {probe && <ProbeResult of={probe} />}
            <p class="row"><Action run={send} disabled={!recipient.includes('@') || !may('configure')}>{t('guide.send')}</Action><span class="dim">{t('guide.send_help')}</span></p>
            <div aria-live="polite">{sent && may('mail') && <SentStory key={sent} id={sent} />}</div>
            <p>{t('guide.done')} <a href="#/doctor">{t('nav.doctor')}</a> · <a href="#/tracking">{t('nav.tracking')}</a> · <a href="#/policy">{t('nav.policy')}</a></p>
        </Panel>
    );
}
