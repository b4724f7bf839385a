// SPDX-License-Identifier: Apache-2.0
// A one-time link: makes the first administrator, or sets a new password for an account.
import { useState } from 'preact/hooks';
import { post } from '../api';
import { Action, Note, PasswordField, errorText, pressPrimary } from '../components';
import { t } from '../i18n';
import type { PageProps } from '../pages';
import { navigate } from '../router';
import { setupNeeded } from '../session';
import type { Session } from '../session';
import { adopt, Gate, NameField } from './gate';

const PASSWORD_MIN = 10;

/** A new password, and once more. */
export function NewPassword(p: { next: string; setNext: (v: string) => void; again: string; setAgain: (v: string) => void }) {
    const rule = t('account.password_rule', { n: PASSWORD_MIN });
    return (
        <>
            <PasswordField label={t('setup.new_password')} help={rule} name="new" autocomplete="new-password" value={p.next} onInput={p.setNext} />
            <PasswordField label={t('setup.again')} name="again" autocomplete="new-password" value={p.again} onInput={p.setAgain} />
        </>
    );
}

export default function Setup({ rest, query }: PageProps) {
    const [first] = useState(setupNeeded);
    const [name, setName] = useState(first ? 'admin' : ''),
        [password, setPassword] = useState(''),
        [again, setAgain] = useState(''),
        [error, setError] = useState('');
    const submit = async () => {
        if (password !== again) return setError(t('setup.differ'));
        setError('');
        try {
            const who = await post<Session>('/v1/setup', { link: rest[0], password, ...(first ? { name: name.trim() } : {}) }, { keep: true });
            await adopt(who);
            navigate(first ? ['guide'] : [], undefined, true);
        } catch (e) {
            setError(errorText(e));
        }
    };
    return (
        <Gate title={t(first ? 'setup.first' : 'setup.password')}>
            <p>{first ? t('setup.first_help') : t(query.name ? 'setup.password_help_of' : 'setup.password_help', { x: query.name ?? '' })}</p>
            <form class="form" onSubmit={pressPrimary}>
                {first && <NameField value={name} onInput={setName} />}
                <NewPassword next={password} setNext={setPassword} again={again} setAgain={setAgain} />
                {error && <Note tone="bad">{error}</Note>}
                <Action class="primary" run={submit}>
                    {t(first ? 'setup.make' : 'setup.set')}
                </Action>
                <input type="submit" hidden />
            </form>
        </Gate>
    );
}
