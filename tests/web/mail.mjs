// SPDX-License-Identifier: Apache-2.0
// Mail: queue, quarantine, tracking, explain, each with all that can be done there. given: queue (how many wait for down.example, their subjects "waits 0" ...),
// held (how many are in the quarantine), spammer (of one of those), subject (of a message that arrived).
import { act, answer, button, check, dialog, end, given, hold, logIn, look, open, openOne, rows, same, settled, step, text, told, visit } from './lib.mjs';

const page = await open();
const chosen = () => text(page, '.bulk b');
const question = async () => (await dialog(page).locator('h2').innerText()).trim();
const tick = (n) => rows(page).nth(n).locator('input[type=checkbox]').check();
const filter = async (label, value) => {
    const field = page.locator('main form[role=search]').getByLabel(label, { exact: true });
    const before = page.url();
    if ((await field.evaluate((el) => el.tagName)) === 'SELECT') await field.selectOption(value);
    else await field.fill(value);
    await page.waitForFunction((was) => location.href !== was, before);
    await settled(page);
};

await step('log in', () => logIn(page, 'root'));

await step('tracking: the list says why', async () => {
    await visit(page, 'tracking?outcome=deferred');
    const one = await rows(page).first().innerText();
    check(/connect/i.test(one), `why it waits: ${one}`);
    await visit(page, 'tracking?outcome=refused');
    check(/relay|domain/i.test(await rows(page).first().innerText()), 'why it was refused');
    await visit(page, 'tracking');
    await look(page, 'tracking-list');
});

/* ---- the queue */

await step('queue: the list, by pages of ten', async () => {
    await visit(page, 'queue');
    same(await rows(page).count(), 10, 'rows');
    check((await text(page, '.table-foot')).includes(`1–10 of ${given.queue}`), 'the foot says how many there are');
    await button(page, 'Next page').click();
    await settled(page);
    check((await text(page, '.table-foot')).includes(`11–${given.queue} of ${given.queue}`), 'the second page');
    await page.locator('.table-foot select').selectOption('25');
    await settled(page);
    same(await rows(page).count(), given.queue, 'rows of a page of 25');
    await page.locator('th button', { hasText: 'Sender' }).click();
    await settled(page);
    same(await page.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
});

await step('queue: keys', async () => {
    await visit(page, 'queue?destination=');
    await rows(page).first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press(' ');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press(' ');
    same(await chosen(), '2 chosen');
    await page.keyboard.press('End');
    check(await rows(page).last().evaluate((el) => el === document.activeElement), 'End goes to the last row');
    await look(page, 'queue-chosen');
    await page.keyboard.press('/');
    same(await page.evaluate(() => document.activeElement.type), 'search', 'where "/" goes');
    await page.keyboard.press('Escape');
    await button(page, 'Choose none').click();
    await rows(page).first().focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.startsWith('#/queue/message/'));
    await look(page, 'queue-message');
});

await step('queue: one is held, tried, let go and deleted', async () => {
    await button(page, 'Hold').click();
    same(await question(), 'Hold: 1 entry?');
    await look(page, 'queue-ask');
    await page.route('**/v1/queue/*', (r) => (r.request().method() === 'GET' ? r.abort() : r.fallback()));
    await answer(page, 'Hold');
    await told(page, 'Done for 1 message.');
    await page.getByText('The relay does not answer.').waitFor(); // which does not mean that the message is gone
    await page.unroute('**/v1/queue/*');
    await button(page, 'Try again').click();
    await page.locator('.badge.held', { hasText: 'held' }).first().waitFor();
    await act(page, 'Let go');
    await page.locator('main .facts .badge', { hasText: 'deferred' }).waitFor();
    await act(page, 'Try now');
    await button(page, 'Delete').click();
    page.expect(404, '/v1/queue/');
    await answer(page, 'Delete');
    await page.getByText('This message is no longer in the queue.').waitFor();
    await look(page, 'queue-gone');
});

await step('queue: two of them, then all that fit', async () => {
    const left = given.queue - 1;
    await visit(page, 'queue');
    await tick(0);
    await tick(1);
    await button(page, 'Hold').click();
    same(await question(), 'Hold: 2 entries?');
    await answer(page, 'Hold (2)');
    await told(page, 'Done for 2 messages.');
    await visit(page, 'queue?state=held');
    same(await rows(page).count(), 2, 'held ones');
    await page.locator('thead input[type=checkbox]').check();
    await act(page, 'Let go', 'Let go (2)', 'Done for 2 messages.');
    await page.getByText('Nothing waits.').waitFor();
    await visit(page, 'queue');
    await page.locator('.table-foot select').selectOption('10');
    await settled(page);
    await page.locator('thead input[type=checkbox]').check();
    same(await chosen(), '10 chosen');
    await button(page, `Choose all ${left} that fit`).click();
    same(await chosen(), `${left} chosen`);
    await button(page, 'Try now').click();
    same(await question(), `Try now: ${left} entries?`);
    await answer(page, `Try now (${left})`);
    await told(page, `Done for ${left} messages.`);
    await filter('Sender', 'sender3@');
    check((await rows(page).count()) <= 2, 'the filter counts');
    check(page.url().includes('sender=sender3'), 'the filter stands in the address');
});

await step('queue: groups', async () => {
    await visit(page, 'queue/destination');
    await rows(page).first().locator('input[type=checkbox]').check();
    const names = await rows(page).locator('a').allInnerTexts();
    check(names.some((x) => /^127\.0\.0\.1:\d+$/.test(x)), `destinations are called as they were written: ${names}`);
    await act(page, 'Hold', 'Hold (1)', /Done for \d+ messages/);
    await button(page, 'By reason').or(page.getByRole('tab', { name: 'By reason' })).first().click();
    await look(page, 'queue-by-reason');
    await visit(page, 'queue/destination');
    await rows(page).first().locator('a').click();
    await settled(page);
    check(page.url().includes('destination='), 'a group leads to its messages');
    await page.locator('thead input[type=checkbox]').check();
    const all = page.getByRole('button', { name: /^Choose all \d+ that fit$/ });
    if (await all.count()) await all.click();
    await button(page, 'Delete').click();
    await dialog(page).locator('button.primary').click();
    await told(page, /Done for \d+ messages/);
    await page.getByText('Nothing waits.').waitFor();
});

/* ---- the quarantine */

await step('quarantine: list and filters', async () => {
    await visit(page, 'quarantine');
    await page.waitForFunction((n) => document.querySelectorAll('main tbody tr').length === n, given.held);
    await look(page, 'quarantine-list');
    await filter('Kind', 'virus');
    same(await rows(page).count(), 1, 'viruses');
    await page.locator('main form[role=search]').getByLabel('Subject').fill('never mind');
    await button(page, 'Clear').click();
    await page.evaluate(() => new Promise((done) => setTimeout(done, 400))); // after what was typed would have counted
    same(await page.evaluate(() => location.hash), '#/quarantine', 'without filters');
    await settled(page);
    same(await rows(page).count(), given.held, 'all of them');
});

await step('quarantine: a message, with nothing active', async () => {
    await openOne(page, page.locator('main tbody tr', { hasText: 'Win now' }).first(), 'quarantine');
    await look(page, 'quarantine-why');
    for (const [tab, part] of [['Text', 'Click here'], ['Parts', ''], ['Headers', 'Eve']]) {
        await page.getByRole('tab', { name: tab }).click();
        await settled(page);
        check((await text(page)).includes(part), `${tab} holds ${part}`);
        await look(page, `quarantine-${tab.toLowerCase()}`);
    }
    same(await page.locator('main img, main iframe, main a[href^="http"]').count(), 0, 'images, frames and links of the message');
    const [file] = await Promise.all([page.waitForEvent('download'), button(page, 'Download').click()]);
    check(file.suggestedFilename().endsWith('.eml'), 'it can be kept as a file');
});

await step('quarantine: learnt, released, deleted', async () => {
    await act(page, 'Learn as spam');
    await act(page, 'Forget what was learnt');
    await button(page, 'Release').click();
    same(await question(), 'Release: 1 entry?');
    await dialog(page).getByLabel('Allow the sender from now on').check();
    await look(page, 'quarantine-release');
    await page.route('**/v1/senders', (r) => r.fulfill({ json: { ok: true, proven: true, effective: false } }));
    await answer(page, 'Release');
    await page.locator('.toast', { hasText: 'counts only for mail that proves its sender by SPF; this message did not' }).waitFor();
    await page.unroute('**/v1/senders');
    await told(page, 'this message did not');
    await told(page, 'Done for 1 message.');
    await page.locator('.badge', { hasText: 'released' }).first().waitFor();
    await button(page, 'Delete').click();
    await answer(page, 'Delete');
    await page.waitForFunction(() => location.hash.replace(/\?.*/, '') === '#/quarantine');
    await settled(page);
    same(await rows(page).count(), given.held - 1, 'rows left');
});

await step('quarantine: who has gone elsewhere stays there', async () => {
    await openOne(page, rows(page).first(), 'quarantine');
    const late = await hold(page, '**/v1/quarantine/delete', { json: { matched: 1 } });
    await button(page, 'Delete').click();
    await button(dialog(page), 'Delete').click();
    await late.came;
    await page.evaluate(() => (location.hash = '#/reports'));
    await page.locator('nav [aria-current=page]', { hasText: 'Reports' }).waitFor();
    await late.go();
    await told(page, 'Done for 1 message.');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    same(await page.evaluate(() => location.hash), '#/reports', 'where');
});

await step('quarantine: several at once', async () => {
    await visit(page, 'quarantine?kind=spam');
    const n = await rows(page).count();
    await tick(0);
    await button(page, 'Learn as wanted').click();
    same(await question(), 'Learn as wanted: 1 entry?');
    await answer(page, 'Learn as wanted (1)');
    await told(page, 'Done for 1 message.');
    await page.locator('thead input[type=checkbox]').check();
    await button(page, 'Release').click();
    await dialog(page).getByLabel('Remove it from the quarantine afterwards').check();
    await button(page, 'Cancel').click();
    await button(page, 'Release').click();
    same(await question(), `Release: ${n} entries?`);
    check(!(await dialog(page).getByLabel('Remove it from the quarantine afterwards').isChecked()), 'what was ticked for others does not count');
    await dialog(page).getByLabel('Remove it from the quarantine afterwards').check();
    await answer(page, `Release (${n})`);
    await told(page, `Done for ${n} messages.`);
    await page.getByText('Nothing is kept apart.').waitFor();
    await visit(page, 'quarantine');
    await page.locator('thead input[type=checkbox]').check();
    await button(page, 'Delete').click();
    await dialog(page).locator('button.primary').click();
    await told(page, /Done for \d+ message/);
    await page.getByText('Nothing is kept apart.').waitFor();
});

/* ---- tracking and explain */

await step('tracking: from the search to the story', async () => {
    await visit(page, 'dashboard');
    same(await page.locator('.rank-name').evaluateAll((all) => all.filter((el) => el.scrollWidth > el.clientWidth).length), 0, 'names that are cut');
    await page.keyboard.press('/');
    await page.keyboard.type(given.subject);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.startsWith('#/tracking?subject='));
    await settled(page);
    same(await rows(page).count(), 1, 'found');
    await openOne(page, rows(page).first(), 'tracking');
    const story = await text(page);
    for (const part of [given.subject, 'delivered', '250', 'recipient']) check(story.includes(part), `the story tells ${part}`);
    await look(page, 'tracking-story');
    await visit(page, 'tracking?outcome=refused');
    check((await rows(page).count()) > 0, 'refusals are found');
    await look(page, 'tracking-refused');
    await openOne(page, rows(page).first(), 'tracking');
    await look(page, 'tracking-refused-story');
    await page.route('**/v1/trace?*', async (r) => {
        const answered = await r.fetch();
        await r.fulfill({ response: answered, json: { ...(await answered.json()), indexing: true } });
    });
    await visit(page, 'tracking?address=nobody%40nowhere.example');
    await page.getByText('No message fits.').waitFor();
    await page.getByText('older messages are not found yet').waitFor();
    await page.unroute('**/v1/trace?*');
});

await step('tracking: the sender is blocked, another allowed', async () => {
    await visit(page, `tracking?subject=${encodeURIComponent(given.subject)}`);
    await openOne(page, rows(page).first(), 'tracking');
    const at = page.url();
    await button(page, 'Block sender').click();
    await look(page, 'tracking-block');
    await dialog(page).getByLabel('Comment').fill('asked for by the sales department');
    await answer(page, 'Block sender');
    await told(page, / is blocked\./);
    await page.goto(at);
    await button(page, 'Allow sender').click();
    await dialog(page).getByLabel('Who').selectOption({ index: 1 });
    await dialog(page).getByLabel('Also mail that does not prove its sender').check();
    await dialog(page).getByText('Anybody can then write in this name').waitFor();
    await dialog(page).getByLabel('Also mail that does not prove its sender').uncheck();
    await answer(page, 'Allow sender');
    await told(page, / is allowed\./);
    await visit(page, 'policy/lists');
    check((await text(page)).includes(given.sender.split('@')[1]), 'the lists have them');
    await look(page, 'policy-lists-filled');
});

await step('explain: from the story, and with a message', async () => {
    await visit(page, `explain?client=203.0.113.1&from=${encodeURIComponent(given.sender)}&to=bob%40example.com`);
    await button(page, 'Explain').click();
    await page.locator('main').getByText(/55\d /).first().waitFor();
    await look(page, 'explain-blocked');
    await page.getByLabel('Sender', { exact: true }).fill('friend@elsewhere.example');
    check((await text(page, '.path')).includes(given.sender), 'the way is that of the one that was asked about');
    await button(page, 'Explain').click();
    await page.getByText('not looked at: there is no message').waitFor();
    same(await page.locator('.path .node.ok', { hasText: 'not looked at' }).count(), 0, 'ticks on what was not looked at');
    await look(page, 'explain-without');
    const box = page.getByLabel('Message', { exact: true });
    if (!(await box.isVisible())) await page.getByText('With a message').click();
    await box.fill('From: friend@elsewhere.example\nSubject: hello\n\ntext\n');
    await button(page, 'Explain').click();
    await settled(page);
    check((await text(page)).includes('next hop'), 'it says where it would go');
    await look(page, 'explain');
});

await end();
