// SPDX-License-Identifier: Apache-2.0
// The guide with recipients in a directory. given: domain, hop, url, base, filter, user (a DN), password_file.
import { button, check, end, given, logIn, look, open, same, settled, step, text, told, visit } from './lib.mjs';

const page = await open();
const next = () => button(page, 'Next').click();
const field = (name) => page.getByLabel(name);

await step('log in', () => logIn(page, 'root'));

await step('guide: domain and server', async () => {
    await visit(page, 'guide');
    await field('For which domain is mail received?').fill(given.domain);
    await next();
    await field(/^Which server keeps the mailboxes/).fill(given.hop);
    await next();
});

await step('guide: what is missing of the directory is told', async () => {
    await field('How are recipients verified?').selectOption('ldap');
    await field('Server (URL)').fill('http://nowhere.example');
    await look(page, 'directory');
    await next();
    await next();
    await page.locator('main .finding.error').first().waitFor();
    check(await button(page, 'Apply').isDisabled(), 'it cannot be applied');
    await look(page, 'directory-errors');
    await page.getByRole('button', { name: /^3\./ }).click();
});

await step('guide: the directory', async () => {
    same(await field('Server (URL)').inputValue(), 'http://nowhere.example', 'what was typed');
    await field('Server (URL)').fill(given.url);
    await field('Where to search (base)').fill(given.base);
    await field('Filter').fill(given.filter);
    await field('Log in as (DN)').fill(given.user);
    await field('File with its password').fill(given.password_file);
    await next();
    await next();
    await page.locator('.diff').waitFor();
    const diff = await text(page, '.diff');
    for (const part of ['verify: ldap', given.url, given.base, given.user, given.password_file]) check(diff.includes(part), `the differences have ${part}: ${diff}`);
    await look(page, 'directory-apply');
    await button(page, 'Apply').click();
    await told(page, /^Applied[.;]/);
});

await step('guide: who is known, and who is not', async () => {
    await field('To which address?').fill(`bob@${given.domain}`);
    await button(page, 'Test').last().click();
    await page.locator('main .note.ok', { hasText: 'A stranger’s message:' }).waitFor();
    await field('To which address?').fill(`nobody@${given.domain}`);
    await button(page, 'Test').last().click();
    const verdict = await page.locator('main .note.warn', { hasText: 'A stranger’s message:' }).innerText();
    check(/[45]50/.test(verdict), `an unknown one is refused: ${verdict}`);
    await look(page, 'directory-test');
});

await step('the form has it, too', async () => {
    await visit(page, 'domains/domains?option=domains[0].recipients.ldap.url');
    await settled(page);
    check((await page.locator('[id="o-domains[0].recipients.ldap.url"]').inputValue()) === given.url, 'the directory');
});

await end();
