// SPDX-License-Identifier: Apache-2.0
// A record to enter into the DNS: host, value and the line for BIND, each with a button that copies it.
import { t } from '../i18n';
import type { Key } from '../i18n';
import { Badge, CopyButton } from './basics';
import type { Tone } from './basics';

export interface DnsRecord {
    type?: string;
    host: string;
    value: string;
    bind?: string;
    why?: string;
    state?: string;
    found?: string[];
}

const tones: Record<string, Tone> = { ok: 'ok', missing: 'bad', different: 'warn', unknown: '' };

function Value({ name, text }: { name: Key; text: string }) {
    return <><dt>{t(name)}</dt><dd class="record-value"><code>{text}</code><CopyButton text={text} /></dd></>;
}

export function RecordBox({ record, title, optional }: { record: DnsRecord; title?: string; optional?: boolean }) {
    const state = record.state ?? '';
    return (
        <div class="dns-record">
            <div class="row"><b>{title ?? record.type}</b>{title && record.type && <span class="dim">{record.type}</span>}{optional ? <Badge>{t('record.optional')}</Badge> : state && <Badge tone={tones[state] ?? ''}>{t(`record.${state}` as Key)}</Badge>}</div>
            {record.why && <p class="help">{record.why}</p>}
            <dl class="facts">
                <Value name="record.host" text={record.host} />
                <Value name="record.value" text={record.value} />
                {record.bind && <Value name="record.bind" text={record.bind} />}
            </dl>
            {state !== 'ok' && record.found && record.found.length > 0 && <p class="help">{t('record.found')} {record.found.map((x) => <code key={x}>{x} </code>)}</p>}
        </div>
    );
}
