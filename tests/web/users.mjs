// SPDX-License-Identifier: Apache-2.0
// Who logs in to send mail: made, changed, removed; each password is seen once. German and a phone, too.
import fs from 'node:fs';
import { answer, button, check, copied, dialog, end, given, hold, logIn, look, open, same, settled, step, text, visit } from './lib.mjs';

const page = await open();
const row = (name) => page.locator('main tr', { hasText: name });
const passwords = {};

/** What the dialog shows after a password was set. */
async function take(name) {
    await page.getByText('The password is shown only now.').waitFor();
    const shown = await dialog(page).locator('code').allInnerTexts();
    same(shown[0].trim(), name, 'the login');
    passwords[name] = shown[1].trim();
    same(await copied(button(dialog(page), 'Copy')), passwords[name], 'what was copied');
}

await step('log in', () => logIn(page, 'root'));

await step('a user is made with a password that was made up', async () => {
    await visit(page, 'system/users');
    await page.locator('main button.primary').first().click();
    await dialog(page).getByLabel('Login').fill('anna@example.com');
    const first = await dialog(page).getByLabel('Password', { exact: true }).inputValue();
    await button(page, 'Another password').click();
    const second = await dialog(page).getByLabel('Password', { exact: true }).inputValue();
    check(/^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/.test(second) && first !== second, `passwords: ${first} ${second}`);
    await dialog(page).getByLabel('May send as').fill('sales@example.com\n@anna.example');
    await look(page, 'new');
    await button(page, 'Make user').click();
    await take('anna@example.com');
    same(passwords['anna@example.com'], second, 'the password');
    await look(page, 'made');
    await answer(page, 'Close');
    check((await row('anna@example.com').innerText()).includes('sales@example.com, @anna.example'), 'the addresses');
});

await step('what cannot be is said, and nothing is lost', async () => {
    page.expect(400, '/v1/users');
    page.expect(409, '/v1/users');
    await page.locator('main button.primary').first().click();
    await dialog(page).getByLabel('Login').fill('ANNA@example.com');
    await button(page, 'Make user').click();
    await dialog(page).getByText('there is such a user already').waitFor();
    await dialog(page).getByLabel('Login').fill('bert');
    await dialog(page).getByLabel('May send as').fill('nonsense');
    await button(page, 'Make user').click();
    await dialog(page).getByText('"nonsense" is no address').waitFor();
    await dialog(page).getByLabel('May send as').fill('*');
    await dialog(page).getByLabel('Password', { exact: true }).fill('typed by hand');
    await dialog(page).getByLabel(/^Also for CRAM-MD5/).check();
    await button(page, 'Make user').click();
    await take('bert');
    same(passwords.bert, 'typed by hand', 'the password');
    await answer(page, 'Close');
    const shown = await row('bert').innerText();
    check(shown.includes('any address') && shown.includes('CRAM-MD5'), shown);
});

await step('search, other addresses, a new password', async () => {
    await page.getByLabel('Login or address').fill('SALES@');
    await row('bert').waitFor({ state: 'detached' });
    await row('anna@example.com').waitFor();
    await button(page, 'Addresses of anna@example.com').click();
    same(await dialog(page).getByLabel('May send as').inputValue(), 'sales@example.com\n@anna.example', 'what she has');
    await dialog(page).getByLabel('May send as').fill('sales@example.com');
    await look(page, 'addresses');
    await answer(page, 'Save');
    await settled(page);
    await page.getByLabel('Login or address').fill('');
    await row('bert').waitFor();
    check(!(await text(page)).includes('@anna.example'), 'the address is gone');
    await button(page, 'New password for bert').click();
    await look(page, 'password');
    await button(page, 'Save').click();
    await take('bert');
    await answer(page, 'Close');
    await settled(page);
    check((await row('bert').innerText()).includes('CRAM-MD5'), 'he has that secret again');
    await look(page, 'list');
});

await step('one is removed, after a question', async () => {
    await page.locator('main button.primary').first().click();
    await dialog(page).getByLabel('Login').fill('carl/home');
    await button(page, 'Make user').click();
    await take('carl/home');
    await answer(page, 'Close');
    await button(page, 'Remove carl/home').click();
    await answer(page, 'Cancel');
    await row('carl/home').waitFor();
    await button(page, 'Remove carl/home').click();
    await look(page, 'remove');
    await answer(page, 'Remove');
    await row('carl/home').waitFor({ state: 'detached' });
});

await step('an answer that comes late closes no dialog but its own', async () => {
    const late = await hold(page, '**/v1/users/*', { method: 'PATCH', json: {} });
    await button(page, 'Addresses of bert').click();
    await button(page, 'Save').click();
    await late.came;
    await button(page, 'Cancel').click();
    await page.locator('main button.primary').first().click();
    await dialog(page).getByLabel('Login').fill('dora');
    const again = page.waitForResponse((r) => new URL(r.url()).pathname === '/v1/users');
    await late.go();
    await again; // the list is asked for anew once the change is done
    await settled(page);
    same(await dialog(page).getByLabel('Login').inputValue(), 'dora', 'what was typed into the other');
    await button(page, 'Cancel').click();
});

await step('on a phone, in German', async () => {
    const small = await open({ width: 390, height: 800, state: await page.context().storageState() });
    await small.goto(page.url().replace(/#.*/, '#/system/users'));
    await small.waitForSelector('.shell');
    await settled(small);
    await small.locator('.topbar select').selectOption('de');
    await small.getByText('Wer sich anmeldet, um über dieses Relay zu senden.').waitFor();
    await look(small, 'german');
    await small.context().close();
});

if (given.passwords) fs.writeFileSync(given.passwords, JSON.stringify(passwords));
await end();
