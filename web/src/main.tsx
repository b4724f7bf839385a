// SPDX-License-Identifier: Apache-2.0
// The start: theme and language first, then who is logged in.
import { render } from 'preact';
import { App } from './app';
import { loadSession } from './api';
import { preferredLanguage, setLanguage } from './i18n';
import { session } from './session';
import { setTheme, storedTheme } from './theme';
import { followWishes } from './wishes';

setTheme(storedTheme());
const asked = loadSession().catch(() => undefined);
void start(setLanguage(preferredLanguage()));

async function start(ready: Promise<void>): Promise<void> {
    await Promise.all([ready, asked]);
    const who = session();
    if (who) await followWishes(who);
    render(<App />, document.getElementById('app')!);
}
