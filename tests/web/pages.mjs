// SPDX-License-Identifier: Apache-2.0
// Every page, with something on it: looked at and kept as a picture. given: user, pages (others than all), scheme, width, locale.
import { end, given, look, logIn, open, step, visit } from './lib.mjs';

const all = [
    'dashboard', 'tracking', 'queue', 'queue/destination', 'quarantine', 'policy', 'domains', 'content', 'keys', 'reports', 'system', 'explain', 'doctor', 'guide', 'account',
    'policy/lists', 'policy/greylist', 'policy/dnslists', 'policy/sender', 'policy/relaying', 'policy/zones', 'policy/limits', 'domains/routes', 'domains/aliases',
    'domains/copies', 'domains/tables', 'domains/tls', 'content/attachments', 'content/virus', 'content/spam', 'content/headers', 'content/rules', 'content/quarantine',
    'content/notices', 'keys/tls', 'keys/signing', 'keys/srs', 'queue/reason', 'system/general', 'system/auth', 'system/delivery', 'system/processes', 'system/web',
    'system/others', 'system/users', 'system/accounts', 'system/audit', 'system/backup', 'system/import', 'system/raw', 'system/revisions', 'explain/message', 'reports/tls',
];
const page = await open({ scheme: given.scheme, width: given.width, locale: given.locale });
await step('log in', () => logIn(page, given.user ?? 'root'));
for (const where of given.pages ?? all)
    await step(where, async () => {
        await visit(page, where);
        if (where === 'dashboard' && given.live) await page.locator('.scheme .live').first().waitFor(); // what came in the last minutes
        await look(page, where.replace(/\W/g, '-'));
    });
await end();
