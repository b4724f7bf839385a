// SPDX-License-Identifier: Apache-2.0
// Who logs in to send mail: the users file.
import { useEffect, useState } from 'preact/hooks';
import { del, patch, post, segment } from '../../api';
import { Badge, Check, CopyButton, Dialog, Empty, Facts, FormDialog, Icon, Note, Panel, Table, TextField, ask, usePaged } from '../../components';
import { t } from '../../i18n';
import { href } from '../../router';

interface User {
    login: string;
    addresses: string[];
    locked: boolean;
    cram_md5: boolean;
}
interface Answer {
    users: User[];
    total: number;
    after?: string;
    backend: string;
    file: string;
}
type Doing = { what: 'add' } | { what: 'password' | 'addresses'; user: User };

const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789'; /* 32, none of which looks like another */

/** A hundred bits in groups of five letters. */
function newPassword(): string {
    const random = crypto.getRandomValues(new Uint8Array(20));
    return [...random].map((n, i) => (i && i % 5 === 0 ? '-' : '') + LETTERS[n & 31]).join('');
}

/** What was typed, when nothing more comes for a moment. */
function useSettled(text: string): string {
    const [settled, set] = useState(text);
    useEffect(() => {
        const timer = setTimeout(() => set(text), 300);
        return () => clearTimeout(timer);
    }, [text]);
    return settled;
}

export function Users() {
    const [typed, setTyped] = useState('');
    const [doing, setDoing] = useState<Doing | null>(null);
    const [made, setMade] = useState<{ login: string; password: string } | null>(null);
    const list = usePaged<Answer, User>('/v1/users', { search: useSettled(typed).trim() }, {
        rows: (a) => a.users, total: (a) => a.total, next: (a) => a.after, cursor: 'after',
    });
    const elsewhere = list.data && list.data.backend !== 'users';
    const done = (login?: string, password?: string) => {
        list.reload();
        if (login && password) setMade({ login, password });
    };
    const remove = (u: User) => ask({
        title: t('accounts.remove_title', { x: u.login }), text: t('users.remove_text'), button: t('form.remove'), danger: true,
        run: async () => {
            await del(`/v1/users/${segment(u.login)}`);
            done();
        },
    });
    const row = (u: User, what: 'password' | 'addresses', icon: string) => (
        <button type="button" class="icon" title={t(`users.${what}`)} aria-label={t(`users.${what}_x`, { x: u.login })} disabled={elsewhere} onClick={() => setDoing({ what, user: u })}><Icon name={icon} size={16} /></button>
    );
    return (
        <Panel title={t('system.users')} flush actions={<button type="button" class="primary" disabled={elsewhere} onClick={() => setDoing({ what: 'add' })}><Icon name="plus" /> {t('users.new')}</button>}>
            <div class="body stack">
                <p class="help">{t('users.help')} {list.data && <code>{list.data.file}</code>}</p>
                {elsewhere && <Note tone="warn">{t(list.data!.backend === 'off' ? 'users.off' : 'users.elsewhere', { x: list.data!.backend })} <a href={href(['system', 'auth'])}>{t('system.auth')}</a></Note>}
                <div class="filters"><TextField label={t('users.search')} type="search" value={typed} onInput={setTyped} data-search /></div>
            </div>
            <Table label={t('system.users')} rows={list.rows} paging={list.paging} error={list.error} retry={list.reload} busy={list.busy} keyOf={(u) => u.login} empty={<Empty>{t('common.empty')}</Empty>} columns={[
                { id: 'login', title: t('users.login'), address: true, cell: (u) => <><b class="wrap">{u.login}</b> {u.locked && <Badge tone="warn">{t('accounts.disabled')}</Badge>} {u.cram_md5 && <Badge>CRAM-MD5</Badge>}</> },
                { id: 'addresses', title: t('users.addresses'), address: true, cell: (u) => <span class="wrap">{u.addresses.map((a) => (a === '*' ? t('users.any') : a)).join(', ')}</span> },
                {
                    id: 'actions', title: t('keys.actions'), tight: true, cell: (u) => (
                        <span class="row nowrap-row">
                            {row(u, 'addresses', 'edit')}
                            {row(u, 'password', 'keys')}
                            <button type="button" class="icon" title={t('form.remove')} aria-label={t('form.remove_entry', { x: u.login })} disabled={elsewhere} onClick={() => remove(u)}><Icon name="trash" size={16} /></button>
                        </span>
                    ),
                },
            ]} />
            {doing && <Edit doing={doing} close={() => setDoing(null)} done={done} />}
            {made && (
                <Dialog title={t('users.made', { x: made.login })} onClose={() => setMade(null)}>
                    <p>{t('users.once')}</p>
                    <Facts of={[
                        [t('users.login'), <code class="wrap">{made.login}</code>],
                        [t('account.password'), <span class="row"><code class="wrap">{made.password}</code><CopyButton text={made.password} label={t('common.copy')} /></span>],
                    ]} />
                </Dialog>
            )}
        </Panel>
    );
}

function Edit({ doing, close, done }: { doing: Doing; close: () => void; done: (login?: string, password?: string) => void }) {
    const user = doing.what === 'add' ? null : doing.user;
    const [login, setLogin] = useState('');
    const [password, setPassword] = useState(newPassword);
    const [addresses, setAddresses] = useState((user?.addresses ?? []).join('\n'));
    const [cram, setCram] = useState(false);
    const list = addresses.split(/[\s,;]+/).filter(Boolean);
    const secret = { password, ...(cram && { cram_md5: true }) };
    const run = async () => {
        if (!user) await post('/v1/users', { login, ...secret, addresses: list });
        else await patch(`/v1/users/${segment(user.login)}`, doing.what === 'password' ? secret : { addresses: list });
        if (doing.what === 'addresses') done();
        else done(user?.login ?? login, password);
    };
    return (
        <FormDialog title={user ? t(`users.${doing.what as 'password' | 'addresses'}_x`, { x: user.login }) : t('users.new')}
            button={t(user ? 'accounts.save' : 'users.make')} disabled={!user && !login} run={run} close={close}>
            <div class="form">
                {!user && <TextField label={t('users.login')} help={t('users.login_help')} value={login} onInput={(v) => setLogin(v.trim())} autofocus />}
                {doing.what !== 'addresses' && (
                    <>
                        <TextField label={t('account.password')} help={t('users.password_help')} value={password} onInput={setPassword} />
                        <p><button type="button" onClick={() => setPassword(newPassword())}>{t('users.generate')}</button></p>
                        {!user?.cram_md5 && <Check label={t('users.cram')} checked={cram} onInput={setCram} />}
                    </>
                )}
                {doing.what !== 'password' && (
                    <>
                        <label class="stacked">{t('users.addresses')}<textarea rows={4} spellcheck={false} value={addresses} onInput={(e) => setAddresses(e.currentTarget.value)} /></label>
                        <p class="help">{t('users.addresses_help')}</p>
                    </>
                )}
            </div>
        </FormDialog>
    );
}
