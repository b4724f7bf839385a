// SPDX-License-Identifier: Apache-2.0
// The second factor: set up with a QR code, recovery codes, removed.
import { useState } from 'preact/hooks';
import { ApiError, del, post, put } from '../api';
import { Action, Badge, CopyButton, Dialog, FormDialog, PasswordField, TextField, attempt, errorText } from '../components';
import { t } from '../i18n';
import { QrCode } from './qr';

/** A wrong password is refused like something that is not allowed; here it is the field's matter. */
export const said = (e: unknown) => (e instanceof ApiError && e.status ? e.message : errorText(e));

export function SecondFactor({ on, changed }: { on: boolean; changed: () => void }) {
    const [pending, setPending] = useState<{ secret: string; uri: string } | null>(null);
    const [recovery, setRecovery] = useState<string[] | null>(null);
    const [removing, setRemoving] = useState(false);
    return (
        <>
            <p>
                <Badge tone={on ? 'ok' : 'warn'}>{t(on ? 'account.totp_on' : 'account.totp_off')}</Badge>
            </p>
            <p class="dim">{t('account.totp_help')}</p>
            {on ? (
                <button type="button" class="danger" onClick={() => setRemoving(true)}>
                    {t('account.totp_remove')}
                </button>
            ) : (
                <Action class="primary" run={() => attempt(async () => setPending(await post('/v1/account/totp')))}>
                    {t('account.totp_add')}
                </Action>
            )}
            {pending && <Enrol pending={pending} close={() => setPending(null)} done={setRecovery} />}
            {recovery && (
                <Dialog
                    title={t('account.recovery')}
                    onClose={() => {
                        setRecovery(null);
                        changed();
                    }}
                >
                    <p>{t('account.recovery_help')}</p>
                    <pre class="mono">{recovery.join('\n')}</pre>
                    <p>
                        <CopyButton text={recovery.join('\n')} label={t('common.copy')} />
                    </p>
                </Dialog>
            )}
            {removing && <RemoveFactor close={() => setRemoving(false)} done={changed} />}
        </>
    );
}

function Enrol({ pending, close, done }: { pending: { secret: string; uri: string }; close: () => void; done: (codes: string[]) => void }) {
    const [code, setCode] = useState('');
    const confirm = async () =>
        done((await put<{ recovery: string[] }>('/v1/account/totp', { code: code.replace(/\s/g, '') }, { keep: true })).recovery);
    return (
        <FormDialog
            title={t('account.totp_add')}
            button={t('account.totp_confirm')}
            disabled={!/^[\d ]{6,8}$/.test(code)}
            run={confirm}
            close={close}
        >
            <div class="stack">
                <p>{t('account.totp_scan')}</p>
                <div class="row top">
                    <QrCode text={pending.uri} label={t('account.totp_qr')} />
                    <div class="grow stack">
                        <div>
                            <span class="dim">{t('account.totp_secret')}</span>
                            <div class="row">
                                <code class="wrap">{pending.secret}</code>
                                <CopyButton text={pending.secret} />
                            </div>
                        </div>
                    </div>
                </div>
                <TextField label={t('account.totp_code')} value={code} onInput={setCode} inputMode="numeric" autocomplete="one-time-code" />
            </div>
        </FormDialog>
    );
}

function RemoveFactor({ close, done }: { close: () => void; done: () => void }) {
    const [password, setPassword] = useState('');
    const remove = async () => {
        await del('/v1/account/totp', { password }, { keep: true });
        done();
    };
    return (
        <FormDialog
            title={t('account.totp_remove')}
            button={t('account.totp_remove')}
            danger
            disabled={!password}
            run={remove}
            said={said}
            close={close}
        >
            <PasswordField label={t('login.password')} autocomplete="current-password" value={password} onInput={setPassword} />
        </FormDialog>
    );
}
