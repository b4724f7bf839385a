// SPDX-License-Identifier: Apache-2.0
// Each role sees its own: a user only what is kept apart for him, an auditor everything and changes nothing, an operator no configuration.
import { act, button, check, end, logIn, look, open, openOne, rows, same, step, text, visit } from './lib.mjs';

const menu = (page) => page.locator('.nav li').allInnerTexts().then((all) => all.map((x) => x.trim()));
const stranger = async (page, where) => {
    await visit(page, where);
    check((await text(page)).includes('Your role does not see this page.'), `${where} is not for this role`);
};

await step('user', async () => {
    const page = await open();
    await logIn(page, 'bob');
    same(await menu(page), ['Quarantine'], 'the menu');
    await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 2);
    const all = await text(page);
    check(all.includes('for bob') && !all.includes('for ann') && !all.includes('a virus'), `only his own: ${all}`);
    await look(page, 'user');
    for (const where of ['queue', 'tracking', 'dashboard', 'system', 'policy', 'explain', 'doctor']) await stranger(page, where);
    same(await page.locator('.topbar form').count(), 0, 'search fields');
    await visit(page, 'quarantine');
    await openOne(page, page.locator('main tbody tr', { hasText: 'for both' }), 'quarantine');
    check(!(await text(page)).includes('ann@'), 'nothing of the other recipient');
    await look(page, 'user-message');
    await act(page, 'Release');
    await visit(page, 'quarantine');
    await rows(page).first().locator('input[type=checkbox]').check();
    await act(page, 'Delete', 'Delete (1)');
    await page.getByText('Nothing is kept apart.').waitFor();
    await page.context().close();
});

await step('auditor', async () => {
    const page = await open();
    await logIn(page, 'aud');
    const all = await menu(page);
    for (const one of ['Dashboard', 'Tracking', 'Queue', 'Quarantine', 'Policy', 'System', 'Doctor']) check(all.includes(one), `the menu has ${one}`);
    await visit(page, 'queue');
    check(await rows(page).count(), 'the queue is there');
    same(await page.locator('main input[type=checkbox]').count(), 0, 'boxes to choose rows');
    await look(page, 'auditor-queue');
    await openOne(page, rows(page).first().locator('td').nth(2), 'queue/message');
    for (const name of ['Hold', 'Delete', 'Try now', 'Block sender']) same(await button(page, name).count(), 0, `buttons: ${name}`);
    await visit(page, 'quarantine');
    await openOne(page, rows(page).first().locator('td').nth(2), 'quarantine');
    for (const name of ['Release', 'Delete', 'Download']) same(await button(page, name).count(), 0, `buttons: ${name}`);
    same(await page.getByRole('tab', { name: 'Text' }).count(), 0, 'tabs with the content');
    await visit(page, 'policy/limits');
    check(await page.locator('[id="o-limits.message_size"]').isDisabled(), 'forms are locked');
    await look(page, 'auditor-form');
    await visit(page, 'system/raw');
    check(await page.locator('.raw textarea').evaluate((el) => el.readOnly), 'the file is locked');
    await visit(page, 'system/audit');
    check(await rows(page).count(), 'the audit log is there');
    same(await page.getByRole('tab', { name: 'Accounts' }).count(), 0, 'tabs of accounts');
    await visit(page, 'system/users');
    check((await text(page)).includes('Your role does not see this page.'), 'a tab that is not for this role says so');
    await look(page, 'auditor-no-tab');
    await visit(page, 'system');
    same(await button(page, 'Reload').count(), 0, 'buttons: Reload');
    for (const where of ['guide', 'keys', 'doctor', 'explain', 'reports', 'dashboard', 'account']) await look(page, `auditor-${(await visit(page, where), where)}`);
    await page.context().close();
});

await step('operator', async () => {
    const page = await open();
    await logIn(page, 'op');
    for (const where of ['policy', 'system', 'doctor', 'keys', 'guide']) await stranger(page, where);
    await visit(page, 'queue');
    await rows(page).first().locator('input[type=checkbox]').check();
    await act(page, 'Try now', 'Try now (1)');
    for (const where of ['dashboard', 'tracking', 'quarantine', 'reports', 'explain']) await look(page, `operator-${(await visit(page, where), where)}`);
    await visit(page, 'tracking?outcome=accepted');
    await openOne(page, rows(page).first().locator('td').nth(2), 'tracking');
    same(await page.locator('main a[href*="system/raw"]').count(), 0, 'links into the configuration');
    await button(page, 'Block sender').waitFor();
});

await end();
