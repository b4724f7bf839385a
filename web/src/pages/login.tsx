// SPDX-License-Identifier: Apache-2.0
// Logging in: name and password, then the second factor where there is one. The address asked for is shown afterwards.
import { useRef, useState } from 'preact/hooks';
import { ApiError, post } from '../api';
import { Action, Note, PasswordField, TextField, errorText, pressPrimary } from '../components';
import { duration } from '../format';
import { t } from '../i18n';
import { adopt, Gate, NameField } from './gate';
import { sessionEnded, setupNeeded } from '../session';
import type { Session } from '../session';

export default function Login() {
    const [name, setName] = useState(''),
        [password, setPassword] = useState(''),
        [code, setCode] = useState('');
    const [needsCode, setNeedsCode] = useState(false),
        [error, setError] = useState('');
    const form = useRef<HTMLFormElement>(null);
    const failed = (e: unknown) => {
        if (!(e instanceof ApiError)) setError(errorText(e));
        else if (e.body.code_needed) {
            setNeedsCode(true);
            if (code) setError(e.message);
            setCode('');
            setTimeout(() => form.current?.querySelector<HTMLInputElement>('[name=code]')?.focus());
        } else if (e.status === 429) setError(t('login.brake', { d: duration(waitOf(e)) }));
        else setError(e.status === 401 ? t('login.wrong') : errorText(e));
    };
    const login = async () => {
        setError('');
        if (!name || !password) return setError(t('login.missing'));
        try {
            const given = { name: name.trim(), password, ...(code ? { code: code.replace(/\s/g, '') } : {}) };
            await adopt(await post<Session>('/v1/session', given, { keep: true }));
        } catch (e) {
            failed(e);
        }
    };
    return (
        <Gate title={t('login.title')}>
            {setupNeeded() && <Note tone="warn">{t('login.no_account')}</Note>}
            {sessionEnded() && !error && <Note>{t('login.ended')}</Note>}
            <form class="form" ref={form} onSubmit={pressPrimary}>
                <NameField autofocus value={name} onInput={setName} />
                <PasswordField label={t('login.password')} name="password" autocomplete="current-password" value={password} onInput={setPassword} />
                {needsCode && (
                    <TextField
                        label={t('login.code')}
                        help={t('login.code_help')}
                        name="code"
                        autocomplete="one-time-code"
                        value={code}
                        onInput={setCode}
                    />
                )}
                {error && <Note tone="bad">{error}</Note>}
                <Action class="primary" run={login}>
                    {t('login.button')}
                </Action>
                <input type="submit" hidden />
            </form>
        </Gate>
    );
}

/** Milliseconds until it may be tried again. */
function waitOf(e: ApiError): number {
    const s = Number(e.body.retry_after);
    return s > 0 ? s * 1000 : 60000;
}
