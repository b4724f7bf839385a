// SPDX-License-Identifier: Apache-2.0
// One's own account: password, second factor, sessions, tokens, language and appearance.
import { useState } from 'preact/hooks';
import { del, post, segment, useGet } from '../api';
import { Action, Ago, Badge, Facts, Failed, Note, PageHead, PasswordField, Panel, SelectField, Table, Time, ask, pressPrimary, toast } from '../components';
import { language, languageName, languages, t } from '../i18n';
import { session } from '../session';
import { storedTheme, themes } from '../theme';
import { chooseLanguage, chooseTheme } from '../wishes';
import { NewPassword } from './setup';
import { SecondFactor, said } from './account_totp';
import { Tokens } from './account_tokens';

interface Account {
    name: string;
    role: 'administrator' | 'operator' | 'auditor' | 'user';
    addresses: string[];
    totp: boolean;
    language: string;
    theme: string;
    sessions: { id: string; created: number; seen: number; address: string; agent: string; current: boolean }[];
}

export default function AccountPage() {
    const account = useGet<Account>('/v1/account');
    const a = account.data;
    return (
        <>
            <PageHead title={t('nav.account')} help={t('account.help')} />
            {account.error && <Failed error={account.error} retry={account.reload} />}
            {a && (
                <div class="stack">
                    <div class="grid">
                        <Panel title={t('account.about')}>
                            <Facts
                                of={[
                                    [t('login.name'), a.name],
                                    [t('account.role'), t(`role.${a.role}`)],
                                    [t('account.addresses'), a.addresses?.join(', ')],
                                ]}
                            />
                            <Appearance />
                        </Panel>
                        <Panel title={t('account.password')}>
                            <Password />
                        </Panel>
                        <Panel title={t('account.totp')}>
                            <SecondFactor on={a.totp} changed={account.reload} />
                        </Panel>
                    </div>
                    <Panel title={t('account.sessions')} flush>
                        <Table
                            label={t('account.sessions')}
                            rows={a.sessions}
                            keyOf={(s) => s.id}
                            columns={[
                                {
                                    id: 'address',
                                    title: t('account.address'),
                                    cell: (s) => (
                                        <>
                                            {s.address} {s.current && <Badge tone="ok">{t('account.this_one')}</Badge>}
                                        </>
                                    ),
                                },
                                {
                                    id: 'agent',
                                    title: t('account.agent'),
                                    cell: (s) => <span class="small">{s.agent}</span>,
                                    wideOnly: true,
                                },
                                { id: 'created', title: t('account.since'), cell: (s) => <Time ms={s.created} /> },
                                { id: 'seen', title: t('account.seen'), cell: (s) => <Ago ms={s.seen} />, wideOnly: true },
                                {
                                    id: 'end',
                                    title: '',
                                    tight: true,
                                    cell: (s) =>
                                        !s.current && (
                                            <Action
                                                class="danger"
                                                run={async () =>
                                                    ask({
                                                        title: t('account.end_title'),
                                                        text: t('account.end_text', { x: s.address }),
                                                        button: t('account.end'),
                                                        danger: true,
                                                        run: async () => {
                                                            await del(`/v1/account/sessions/${segment(s.id)}`);
                                                            account.reload();
                                                        },
                                                    })
                                                }
                                            >
                                                {t('account.end')}
                                            </Action>
                                        ),
                                },
                            ]}
                        />
                    </Panel>
                    <Tokens />
                </div>
            )}
        </>
    );
}

function Appearance() {
    const [theme, show] = useState(storedTheme());
    return (
        <div class="grid narrow" data-appearance>
            <SelectField
                label={t('shell.language')}
                value={language()}
                words={languages.map((l) => [l, languageName(l)])}
                onInput={chooseLanguage}
            />
            <SelectField
                label={t('account.theme')}
                value={theme}
                words={themes.map((x) => [x, t(`theme.${x}`)])}
                onInput={(x) => {
                    chooseTheme(x);
                    show(x);
                }}
            />
        </div>
    );
}

function Password() {
    const [old, setOld] = useState(''),
        [next, setNext] = useState(''),
        [again, setAgain] = useState(''),
        [error, setError] = useState('');
    const change = async () => {
        setError('');
        if (next !== again) return setError(t('setup.differ'));
        try {
            await post('/v1/account/password', { old, new: next }, { keep: true });
            setOld('');
            setNext('');
            setAgain('');
            toast(t('account.password_changed'));
        } catch (e) {
            setError(said(e));
        }
    };
    return (
        <form class="form" onSubmit={pressPrimary}>
            <input type="text" name="username" autocomplete="username" value={session()?.name} readOnly hidden />
            <PasswordField label={t('account.old')} autocomplete="current-password" value={old} onInput={setOld} />
            <NewPassword next={next} setNext={setNext} again={again} setAgain={setAgain} />
            {error && <Note tone="bad">{error}</Note>}
            <div>
                <Action class="primary" run={change} disabled={!old || !next}>
                    {t('account.change_password')}
                </Action>
            </div>
            <input type="submit" hidden />
        </form>
    );
}
