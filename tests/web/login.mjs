// SPDX-License-Identifier: Apache-2.0
// Logging in and out, the second factor, sessions that end, one's own password. given: idle (ms until a session ends by itself; 0: not waited for).
import { PASSWORD, answer, base, button, check, codeOf, dialog, end, given, hold, logIn, logOut, look, open, same, settled, step, text, told, typeLogIn, visit } from './lib.mjs';

const page = await open();
let secret, recovery;

await step('a wrong password, then the right one; the page asked for comes up', async () => {
    await page.goto(`${base}/#/queue?state=held`);
    await typeLogIn(page, 'ann', 'not the password');
    await page.getByText('Name, password or code is wrong.').waitFor();
    await look(page, 'wrong');
    await typeLogIn(page, 'ann', PASSWORD);
    await page.waitForSelector('.shell');
    same(await page.evaluate(() => location.hash), '#/queue?state=held', 'where');
});

await step('a relay that does not answer is not the end of the session', async () => {
    page.expect(503, '/v1/session');
    await page.route('**/v1/session', (r) => r.fulfill({ status: 503, json: { error: 'a process does not answer' } }));
    await page.reload();
    await page.getByText('The relay does not answer.').waitFor();
    same(await page.locator('[name=username]').count(), 0, 'fields to log in');
    await page.unroute('**/v1/session');
    await button(page, 'Try again').click();
    await page.waitForSelector('.shell');
});

await step('nothing is left in the page for others', async () => {
    same(await page.evaluate(() => document.cookie), '', 'cookies that scripts see');
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    check(!/csrf|pst_|password/i.test(kept), `kept in the browser: ${kept}`);
});

await step('the second factor is set up', async () => {
    await visit(page, 'account');
    await button(page, 'Set up second factor').click();
    await dialog(page).locator('svg, canvas').first().waitFor();
    secret = (await dialog(page).innerText()).replace(/ /g, '').match(/\b[A-Z2-7]{32}\b/)?.[0];
    check(secret, 'the secret is shown as text, too');
    await look(page, 'factor');
    const field = dialog(page).locator('input');
    page.expect(400, '/v1/account/totp');
    page.expect(401, '/v1/account/totp');
    page.expect(403, '/v1/account/totp');
    await field.fill(codeOf(secret, 99));
    await button(page, 'Turn on').click();
    await dialog(page).locator('.error, .note.bad').first().waitFor();
    await field.fill(codeOf(secret));
    await button(page, 'Turn on').click();
    await page.getByRole('heading', { name: 'Recovery codes' }).waitFor();
    recovery = (await dialog(page).locator('pre').innerText()).trim().split(/\s+/);
    same(recovery.length, 10, 'recovery codes');
    await look(page, 'recovery');
    await answer(page, 'Close');
});

await step('logging in with it: a code of our own reckoning, a wrong one, a recovery code', async () => {
    await logOut(page);
    await typeLogIn(page, 'ann', PASSWORD);
    await page.waitForSelector('[name=code]');
    await page.waitForFunction(() => document.activeElement?.name === 'code');
    await look(page, 'code');
    await page.keyboard.type('000000');
    await page.keyboard.press('Enter');
    await page.locator('.note.bad').waitFor();
    await page.fill('[name=code]', recovery[0]);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.shell');
    await logOut(page);
    await typeLogIn(page, 'ann', PASSWORD);
    await page.waitForSelector('[name=code]');
    await page.fill('[name=code]', codeOf(secret, 1).replace(/(...)/, '$1 ')); // the present one was used to turn it on
    await page.keyboard.press('Enter');
    await page.waitForSelector('.shell');
});

await step('the password is changed, and the second factor removed', async () => {
    await visit(page, 'account');
    const form = page.locator('form.form').filter({ hasText: 'Present password' });
    page.expect(401, '/v1/account/password');
    page.expect(403, '/v1/account/password');
    await form.getByLabel('Present password').fill('not the password');
    await form.getByLabel('New password').fill('a whole new one, longer');
    await form.getByLabel('Once more').fill('a whole new one, longer');
    await button(page, 'Change password').click();
    await form.locator('.note.bad').waitFor();
    check(await page.locator('.shell').count(), 'a wrong password there does not log out');
    await form.getByLabel('Present password').fill(PASSWORD);
    await button(page, 'Change password').click();
    await told(page, 'The password is changed.');
    await button(page, 'Remove second factor').click();
    await dialog(page).locator('input').fill('a whole new one, longer');
    await dialog(page).locator('button.danger, button.primary').last().click();
    await button(page, 'Set up second factor').waitFor();
});

await step('another session is ended from here, and comes to the login', async () => {
    const other = await open();
    await logIn(other, 'ann', 'a whole new one, longer');
    await visit(other, 'queue');
    await page.reload();
    await visit(page, 'account');
    await look(page, 'sessions');
    await button(page, 'End').click();
    await answer(page, 'End');
    await page.waitForFunction(() => ![...document.querySelectorAll('button')].some((b) => b.textContent === 'End'));
    other.expect(401, '/v1/');
    await other.evaluate(() => (location.hash = '#/tracking'));
    await other.waitForSelector('[name=username]');
    await other.getByText('Your session has ended.').waitFor();
    await typeLogIn(other, 'ann', 'a whole new one, longer');
    await other.waitForSelector('.shell');
    same(await other.evaluate(() => location.hash), '#/tracking', 'where one was');
    await other.context().close();
});

await step('who chooses a page while the shell is still being put up gets it', async () => {
    await visit(page, 'account');
    await logOut(page);
    await page.evaluate(() => {
        new MutationObserver((_, me) => {
            if (!document.querySelector('.shell')) return;
            me.disconnect();
            location.hash = '#/tracking';
        }).observe(document.body, { childList: true, subtree: true });
    });
    await typeLogIn(page, 'ann', 'a whole new one, longer');
    await page.waitForSelector('.shell');
    await settled(page);
    same(await page.evaluate(() => location.hash), '#/tracking', 'where');
    await page.locator('nav [aria-current=page]', { hasText: 'Tracking' }).waitFor();
});

await step('who has logged out stays so, whatever was asked before', async () => {
    await visit(page, 'account');
    page.expect(503, '/v1/events');
    await page.route('**/v1/events', (r) => r.fulfill({ status: 503, json: { error: 'too many streams' } })); // the page asks whether it is still logged in
    const late = await hold(page, '**/v1/session', { method: 'GET' });
    await page.evaluate(() => (location.hash = '#/dashboard'));
    await late.came;
    await settled(page);
    await logOut(page);
    await late.go();
    await settled(page); // a shell would ask for what it shows, and be told 401
    same(await page.locator('.shell').count(), 0, 'shells');
    await page.unroute('**/v1/events');
    await typeLogIn(page, 'ann', 'a whole new one, longer');
    await page.waitForSelector('.shell');
});

if (given.idle)
    await step('a session that nobody uses ends, though the page asks for news', async () => {
        await visit(page, 'dashboard');
        page.expect(401, '/v1/');
        await page.waitForTimeout(given.idle);
        await page.evaluate(() => (location.hash = '#/queue'));
        await page.waitForSelector('[name=username]', { timeout: 40000 });
        await look(page, 'expired');
    });

await end();
