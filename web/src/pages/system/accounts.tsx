// SPDX-License-Identifier: Apache-2.0
// Who may log in here, and as what.
import { useState } from 'preact/hooks';
import { del, patch, post, segment, useGet } from '../../api';
import { Action, Ago, Badge, Check, CopyButton, Dialog, Field, FormDialog, Icon, Panel, SelectField, Table, TextField, ask, attempt, toast, useMounted } from '../../components';
import { t, tWord } from '../../i18n';
import type { Key } from '../../i18n';
import { session } from '../../session';

interface Account {
    name: string;
    role: string;
    addresses: string[];
    totp: boolean;
    last_login?: number | null;
    disabled: boolean;
}

const ROLES = ['administrator', 'operator', 'auditor', 'user'];

/** A link that says to its page whose it is; without that it works as well. */
const named = (of: { name: string; link: string }) => `${of.link}?name=${encodeURIComponent(of.name)}`;

export function Accounts() {
    const { data, error, reload } = useGet<{ accounts: Account[] }>('/v1/accounts');
    const [open, setOpen] = useState<Account | 'new' | null>(null);
    const [link, setLink] = useState<{ name: string; link: string } | null>(null);
    const done = (name?: string, made?: string) => {
        reload();
        if (name && made) setLink({ name, link: made });
    };
    const renew = (a: Account) => ask({
        title: t('accounts.link_title', { x: a.name }), text: t('accounts.link_text'), button: t('accounts.link'),
        run: async () => done(a.name, (await post<{ link: string }>(`/v1/accounts/${segment(a.name)}/link`)).link),
    });
    const remove = (a: Account) => ask({
        title: t('accounts.remove_title', { x: a.name }), text: t('accounts.remove_text'), button: t('form.remove'), danger: true,
        run: async () => {
            await del(`/v1/accounts/${segment(a.name)}`);
            done();
        },
    });
    return (
        <Panel title={t('system.accounts')} flush actions={<button type="button" class="primary" onClick={() => setOpen('new')}><Icon name="plus" /> {t('accounts.new')}</button>}>
            <Table label={t('system.accounts')} rows={data?.accounts} error={error} retry={reload} keyOf={(a) => a.name} sort="name" columns={[
                { id: 'name', title: t('accounts.name'), cell: (a) => <><b>{a.name}</b> {a.name === session()?.name && <Badge>{t('accounts.you')}</Badge>} {a.disabled && <Badge tone="warn">{t('accounts.disabled')}</Badge>}{a.addresses?.length > 0 && <div class="dim small wrap">{a.addresses.join(', ')}</div>}</>, sort: (a) => a.name },
                { id: 'role', title: t('accounts.role'), cell: (a) => tWord('role', a.role), sort: (a) => a.role },
                { id: 'totp', title: t('accounts.totp'), cell: (a) => <Badge tone={a.totp ? 'ok' : ''}>{t(a.totp ? 'form.yes' : 'form.no')}</Badge>, wideOnly: true },
                { id: 'last_login', title: t('accounts.last_login'), cell: (a) => <Ago ms={a.last_login} />, sort: (a) => a.last_login, wideOnly: true },
                {
                    id: 'actions', title: t('keys.actions'), tight: true, cell: (a) => (
                        <span class="row nowrap-row">
                            <button type="button" class="icon" title={t('accounts.edit')} aria-label={t('accounts.edit_x', { x: a.name })} onClick={() => setOpen(a)}><Icon name="edit" size={16} /></button>
                            <button type="button" class="icon" title={t('accounts.link')} aria-label={t('accounts.link_x', { x: a.name })} onClick={() => renew(a)}><Icon name="link" size={16} /></button>
                            <button type="button" class="icon" title={t('form.remove')} aria-label={t('form.remove_entry', { x: a.name })} disabled={a.name === session()?.name} onClick={() => remove(a)}><Icon name="trash" size={16} /></button>
                        </span>
                    ),
                },
            ]} />
            {open && <Edit of={open === 'new' ? null : open} close={() => setOpen(null)} done={done} />}
            {link && (
                <Dialog title={t('accounts.link_made', { x: link.name })} onClose={() => setLink(null)}>
                    <p>{t('accounts.link_once')}</p>
                    <div class="row"><code class="wrap grow">{named(link)}</code><CopyButton text={named(link)} label={t('common.copy')} /></div>
                </Dialog>
            )}
        </Panel>
    );
}

function Edit({ of, close, done }: { of: Account | null; close: () => void; done: (name?: string, link?: string) => void }) {
    const [name, setName] = useState(of?.name ?? '');
    const [role, setRole] = useState(of?.role ?? 'operator');
    const [addresses, setAddresses] = useState((of?.addresses ?? []).join('\n'));
    const [disabled, setDisabled] = useState(of?.disabled ?? false);
    const mounted = useMounted();
    const list = addresses.split(/[\s,;]+/).filter(Boolean);
    const own = role === 'user'; /* addresses are of no use to the others, who see all of the quarantine */
    const run = async () => {
        if (of) {
            await patch(`/v1/accounts/${segment(of.name)}`, {
                ...(role !== of.role && { role }), ...(disabled !== of.disabled && { disabled }), ...(list.join() !== (of.addresses ?? []).join() && { addresses: list }),
            });
            done();
        } else done(name, (await post<{ link?: string }>('/v1/accounts', { name, role, ...(own && list.length && { addresses: list }) })).link);
    };
    const forget = () => attempt(async () => {
        await patch(`/v1/accounts/${segment(of!.name)}`, { totp: false });
        toast(t('accounts.totp_removed'));
        if (mounted.current) close();
        done();
    });
    return (
        <FormDialog title={of ? t('accounts.edit_x', { x: of.name }) : t('accounts.new')} button={t(of ? 'accounts.save' : 'accounts.make')} disabled={!name} run={run} close={close}>
            <div class="form">
                {!of && <TextField label={t('accounts.name')} value={name} onInput={(v) => setName(v.trim())} autofocus />}
                <SelectField label={t('accounts.role')} help={t(`accounts.${role}_help` as Key)} value={role} onInput={setRole} words={ROLES.map((r) => [r, tWord('role', r)])} />
                {(own || !!of?.addresses?.length) && (
                    <Field label={t('accounts.addresses')} help={t('accounts.addresses_help')}>
                        {(p) => <textarea {...p} rows={3} spellcheck={false} value={addresses} onInput={(e) => setAddresses(e.currentTarget.value)} />}
                    </Field>
                )}
                {of && <Check label={t('accounts.disable')} checked={disabled} onInput={setDisabled} />}
                {of?.totp && <p><Action run={forget}>{t('accounts.totp_remove')}</Action></p>}
                {!of && <p class="help">{t('accounts.new_help')}</p>}
            </div>
        </FormDialog>
    );
}
