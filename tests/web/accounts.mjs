// SPDX-License-Identifier: Apache-2.0
// Accounts, their links, tokens, the audit log.
import { answer, base, button, check, copied, dialog, end, logIn, look, open, same, settled, step, text, visit } from './lib.mjs';

const page = await open();
let link, token;

await step('log in', () => logIn(page, 'root'));

await step('an account is made; its link sets the password', async () => {
    await visit(page, 'system/accounts');
    await page.locator('main button.primary').first().click();
    await dialog(page).getByLabel('Name').fill('carl');
    same(await dialog(page).getByLabel('Mail addresses').count(), 0, 'addresses of an operator');
    await dialog(page).getByLabel('Role').selectOption('user');
    await dialog(page).getByLabel('Mail addresses').fill('carl@example.com\nsales@example.com');
    await look(page, 'new');
    await button(page, 'Make account').click();
    await page.getByText('Valid once, for 24 hours').waitFor();
    link = (await dialog(page).locator('code').innerText()).trim();
    check(link.startsWith(`${base}/#/setup/`), `the link leads here: ${link}`);
    await look(page, 'link');
    await answer(page, 'Close');
    const his = await open();
    await his.goto(link);
    await his.waitForSelector('[name=new]');
    same(await his.locator('[name=username]').count(), 0, 'name fields: the account has one');
    check((await text(his, '.gate')).includes('“carl”'), 'whose it is');
    for (const name of ['new', 'again']) await his.fill(`[name=${name}]`, 'the password of carl');
    await his.keyboard.press('Enter');
    await his.waitForSelector('.shell');
    await settled(his);
    check((await text(his)).includes('carl@example.com'), 'he sees what is for him');
    await his.context().close();
});

await step('an account is changed, disabled, removed; oneself cannot be', async () => {
    await visit(page, 'account');
    await visit(page, 'system/accounts');
    await button(page, 'New password link for carl').click();
    await dialog(page).getByRole('button', { name: 'New password link' }).click();
    await page.getByText('Valid once, for 24 hours').waitFor();
    await answer(page, 'Close');
    await button(page, 'Change carl').click();
    await dialog(page).getByLabel('Role').selectOption('auditor');
    await dialog(page).getByLabel('Disabled: cannot log in').check();
    await look(page, 'change');
    await answer(page, 'Save');
    await page.locator('main tr', { hasText: 'carl' }).getByText('disabled').waitFor();
    check((await page.locator('main tr', { hasText: 'carl' }).innerText()).includes('Auditor'), 'the new role');
    await look(page, 'list');
    await button(page, 'Remove carl').click();
    await answer(page, 'Remove');
    await page.waitForFunction(() => !document.querySelector('main').textContent.includes('carl'));
    page.expect(409, '/v1/accounts/');
    await button(page, 'Change root').click();
    await dialog(page).getByLabel('Role').selectOption('user');
    await button(page, 'Save').click();
    await dialog(page).locator('.note.bad').waitFor();
    await button(page, 'Cancel').click();
});

await step('a token for a program', async () => {
    await visit(page, 'account');
    await button(page, 'Make a token').click();
    await dialog(page).getByLabel('What for').fill('monitoring');
    await dialog(page).getByLabel(/^metrics/).check();
    await look(page, 'token');
    await dialog(page).locator('button.primary').click();
    await page.getByText('Copy it now; it is not shown again.').waitFor();
    token = (await dialog(page).locator('code').innerText()).trim();
    same(await copied(button(dialog(page), 'Copy')), token, 'what was copied');
    await look(page, 'token-made');
    await answer(page, 'Close');
    const asked = await page.context().request.get(`${base}/metrics`, { headers: { Authorization: `Bearer ${token}`, Cookie: '' } });
    same(asked.status(), 200, 'the answer to the token');
    await page.locator('main tr', { hasText: 'monitoring' }).getByRole('button', { name: 'Remove' }).click();
    await answer(page, 'Remove');
    await page.getByText('No tokens.').waitFor();
    const again = await page.context().request.get(`${base}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
    same(again.status(), 401, 'the answer when it is gone');
});

await step('the audit log has it all, and no secret', async () => {
    await visit(page, 'system/audit');
    await page.locator('.table-foot select').selectOption('50');
    await settled(page);
    const all = await text(page);
    for (const word of ['carl', 'root', 'done', 'refused']) check(all.includes(word), `it names ${word}`);
    check(!all.includes(token) && !all.includes(link.split('/').pop()), 'no secret');
    await look(page, 'audit');
    await page.getByLabel('Who').fill('nobody-of-this-name');
    await page.getByText('Nothing here.').waitFor();
});

await end();
