// SPDX-License-Identifier: Apache-2.0
// What is outside the shell: the frame of log-in and first set-up.
import type { ComponentChildren } from 'preact';
import { LanguageMenu, ThemeButton } from '../app';
import { TextField } from '../components';
import { t } from '../i18n';
import { setSession } from '../session';
import type { Session } from '../session';
import { followWishes } from '../wishes';
import icon from '../icon.svg';

export function Gate({ title, children }: { title: string; children: ComponentChildren }) {
    return (
        <main class="gate">
            <div class="panel">
                <div class="brand">
                    <img src={icon} alt="" />
                    <div>
                        <h1>Postern</h1>
                        <div class="dim">{title}</div>
                    </div>
                </div>
                <div class="stack">{children}</div>
                <div class="foot">
                    <LanguageMenu />
                    <ThemeButton />
                </div>
            </div>
        </main>
    );
}

export function NameField(p: { value: string; onInput: (v: string) => void; autofocus?: boolean }) {
    return <TextField label={t('login.name')} name="username" autocomplete="username" autocapitalize="none" {...p} />;
}

/** Logged in. */
export async function adopt(who: Session): Promise<void> {
    await followWishes(who);
    setSession(who);
}
