// SPDX-License-Identifier: Apache-2.0
// Language and theme: chosen here, and kept by the account, which has them elsewhere, too.
import { patch } from './api';
import { attempt } from './components';
import { language, setLanguage } from './i18n';
import { may } from './session';
import type { Session } from './session';
import { setTheme } from './theme';

function keep(wish: { language?: string; theme?: string }): void {
    if (may('self')) void attempt(() => patch('/v1/account', wish));
}

export function chooseLanguage(to: string): void {
    void setLanguage(to);
    keep({ language: to });
}

export function chooseTheme(to: string): void {
    setTheme(to);
    keep({ theme: to });
}

/** The account's language and theme count from now on; where the language cannot be loaded, the present one stays. */
export async function followWishes(who: Session): Promise<void> {
    if (who.theme) setTheme(who.theme);
    if (who.language && who.language !== language()) await setLanguage(who.language).catch(() => undefined);
}
