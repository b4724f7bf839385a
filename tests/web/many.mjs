// SPDX-License-Identifier: Apache-2.0
// The queue page with very many messages; the steps' times are its figures. given: queue (how many).
import { button, check, dialog, end, given, logIn, open, rows, same, settled, step, text, told, visit } from './lib.mjs';

const page = await open();
page.setDefaultTimeout(180000);
const count = given.queue.toLocaleString('en-GB');
const all = async (action) => {
    await page.locator('thead input[type=checkbox]').check();
    await button(page, `Choose all ${count} that fit`).click();
    await button(page, action).click();
};
const sure = async (action) => {
    same((await dialog(page).locator('h2').innerText()).trim(), `${action}: ${count} entries?`);
    await button(dialog(page), `${action} (${count})`).click();
    await told(page, `Done for ${count} messages.`);
};

await step('log in', () => logIn(page, 'root'));
await step('first rows', async () => {
    await visit(page, 'queue');
    same(await rows(page).count(), 10, 'rows');
    check((await text(page, '.table-foot')).includes(`of ${count}`), `the foot: ${await text(page, '.table-foot')}`);
});
await step('the next page', async () => {
    await button(page, 'Next page').click();
    await settled(page);
    check((await text(page, '.table-foot')).includes('11–20'), 'the second page');
});
await step('by sender', async () => {
    await page.locator('th button', { hasText: 'Sender' }).click();
    await settled(page);
    same(await page.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
});
await step('a filter', async () => {
    await visit(page, 'queue?sender=nobody');
    await page.getByText('Nothing waits.').waitFor();
});
await step('groups', async () => {
    await visit(page, 'queue/destination');
    check((await text(page)).includes(count), 'all are in one group');
});
await step('all chosen', async () => {
    await visit(page, 'queue');
    await all('Hold');
});
await step('hold all', () => sure('Hold'));
await step('first rows of those held', async () => {
    await visit(page, 'queue?state=held');
    same(await rows(page).count(), 10, 'rows');
    check((await text(page, '.table-foot')).includes(`of ${count}`), 'all are held');
    await all('Let go');
});
await step('let all go', () => sure('Let go'));
await step('the dashboard', () => visit(page, 'dashboard'));
await step('all chosen once more', async () => {
    await visit(page, 'queue');
    await all('Delete');
});
await step('delete all', () => sure('Delete'));
await step('nothing is left', () => page.getByText('Nothing waits.').waitFor());
await end();
