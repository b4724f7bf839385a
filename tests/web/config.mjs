// SPDX-License-Identifier: Apache-2.0
// The configuration: forms that check what one types, differences, applying, somebody else's change meanwhile, revisions and going back, the file as text;
// and the doctor.
import { PASSWORD, answer, base, button, check, dialog, end, logIn, logOut, look, open, rows, same, settled, step, text, told, typeLogIn, visit } from './lib.mjs';

const page = await open();
const option = (path) => page.locator(`[id="o-${path}"]`);
const note = (path) => page.locator(`[id="o-${path}-note"]`);
const bar = page.locator('.pending-bar');
const review = async () => {
    await button(page, 'Differences and apply …').click();
    await dialog(page).locator('.diff').waitFor();
    return text(page, 'dialog[open] .diff');
};
const written = async () => (await (await page.context().request.get(`${base}/v1/config`)).json()).text;

await step('log in', () => logIn(page, 'root'));

await step('a configuration that comes while a page is being put up is seen', async () => {
    const config = await (await page.context().request.get(`${base}/v1/config`)).text();
    await visit(page, 'account');
    await page.reload();
    await settled(page);
    await page.evaluate((text) => {
        const fetch = window.fetch;
        window.fetch = (where, ...more) => where !== 'v1/config' ? fetch(where, ...more) : new Promise((answer) => {
            new MutationObserver((_, me) => {
                if (document.querySelector('main h1')?.textContent !== 'System') return;
                me.disconnect();
                window.fetch = fetch;
                answer({ ok: true, status: 200, text: async () => text });
            }).observe(document.body, { childList: true, subtree: true, characterData: true });
        });
    }, config);
    const schema = page.waitForResponse(`${base}/v1/schema`);
    await page.evaluate(() => (location.hash = '#/policy/limits'));
    await (await schema).finished();
    await page.evaluate(() => (location.hash = '#/system/general'));
    await option('postmaster').waitFor();
});

await step('a form: what is wrong is told while one types', async () => {
    await visit(page, 'policy/limits');
    const size = option('limits.message_size');
    await size.fill('25X');
    await page.getByText('This is no size: write 500K, 30M or 2G').waitFor();
    same(await size.getAttribute('aria-invalid'), 'true', 'aria-invalid');
    await bar.locator('.badge.bad').waitFor();
    await look(page, 'form-error');
    await button(page, 'Differences and apply …').click();
    await dialog(page).locator('.finding').first().waitFor();
    check(await button(page, 'Apply').isDisabled(), 'what has errors cannot be applied');
    await button(page, 'Cancel').click();
    await size.fill('25M');
    await bar.getByText('no errors').waitFor();
    check((await bar.innerText()).includes('1 change pending'), 'one change');
    await look(page, 'form-changed');
});

await step('changes stay while one moves between pages', async () => {
    await visit(page, 'queue');
    await visit(page, 'policy/lists');
    check((await bar.innerText()).includes('1 change pending'), 'it is still there');
    await page.locator('main').getByRole('button', { name: 'Add', exact: true }).first().click();
    await page.locator('main .records input[type=text]').first().fill('198.51.100.0/24');
    await bar.getByText('2 changes pending').waitFor();
    await bar.getByText('no errors').waitFor();
    await look(page, 'list-entry');
});

await step('the differences, and applying them', async () => {
    const diff = await review();
    for (const part of ['message_size', '25M', '198.51.100.0/24']) check(diff.includes(part), `the differences have ${part}`);
    await dialog(page).getByLabel(/^Why\?/).fill('larger plans from the architects');
    await look(page, 'differences');
    await answer(page, 'Apply');
    await told(page, /^Applied; .* revision 1\./);
    check((await written()).includes('198.51.100.0/24'), 'it is in the file');
    same(await bar.count(), 0, 'bars');
});

await step('somebody else was quicker', async () => {
    await visit(page, 'policy/limits');
    await option('limits.message_size').fill('26M');
    await bar.getByText('no errors').waitFor();
    const other = await open();
    await logIn(other, 'root');
    await visit(other, 'system/general');
    await other.locator('[id="o-postmaster"]').fill('mailmaster@example.com');
    await other.getByText('no errors').waitFor();
    await other.getByRole('button', { name: 'Differences and apply …' }).click();
    await other.locator('dialog[open] button.primary:not(:disabled)').click();
    await told(other, /^Applied; .* revision 2\./);
    await other.context().close();
    page.expect(409, '/v1/config/apply');
    if (!(await dialog(page).count())) await review();
    await dialog(page).locator('button.primary:not(:disabled)').click();
    const merge = button(page, 'Put my changes on top');
    await Promise.race([merge.waitFor(), page.locator('.toast').waitFor()]);
    if (await merge.count()) {
        await look(page, 'conflict');
        await merge.click();
        await dialog(page).locator('button.primary:not(:disabled)').click();
    }
    await told(page, /^Applied; .* revision 3\./);
    const now = await written();
    check(now.includes('mailmaster@example.com') && now.includes('26M'), 'both are in the file');
});

await step('discarding', async () => {
    await option('limits.message_size').fill('27M');
    await bar.waitFor();
    await button(page, 'Discard').click();
    await answer(page, 'Discard');
    same(await option('limits.message_size').inputValue(), '26M', 'the value');
});

await step('an error is marked on the tab that shows it, and on no other', async () => {
    await visit(page, 'policy/lists');
    await page.locator('main').getByRole('button', { name: 'Add', exact: true }).first().click();
    await page.locator('main .records input[type=text]').last().fill('no address');
    await bar.locator('.badge.bad').waitFor();
    const marked = await page.locator('[role=tab]:has(.badge.bad)').allInnerTexts();
    same(marked.map((x) => x.replace(/\W+$/, '')), ['Allow and block'], 'marked tabs');
    await look(page, 'marked-tab');
    await button(page, 'Discard').click();
    await answer(page, 'Discard');
    await visit(page, 'policy/limits');
});

await step('logging out forgets what was typed', async () => {
    await option('limits.message_size').fill('28M');
    await bar.getByText('no errors').waitFor(); // else it is asked while the session ends
    await logOut(page);
    await typeLogIn(page, 'root', PASSWORD);
    await page.waitForSelector('.shell');
    await visit(page, 'policy/limits');
    same(await option('limits.message_size').inputValue(), '26M', 'the value');
    same(await bar.count(), 0, 'bars');
});

await step('revisions: what changed, and back to the first', async () => {
    await visit(page, 'system/revisions');
    same(await rows(page).count(), 3, 'revisions');
    await look(page, 'revisions');
    await page.locator('main tbody tr', { hasText: 'set postmaster' }).locator('button.link').click();
    await dialog(page).locator('.diff').waitFor();
    check((await text(page, 'dialog[open]')).includes('mailmaster@example.com'), 'the difference to the present file');
    check((await text(page, 'dialog[open]')).includes('before: set postmaster'), 'it is named by the change it comes before');
    const way = (await page.locator('dialog[open] .diff').innerText()).split('\n').map((l) => l.trim());
    check(way.some((l) => l.startsWith('-') && l.includes('mailmaster@example.com')), `the way goes back: ${way.join(' / ')}`);
    await look(page, 'revision');
    await answer(page, 'Go back to this file');
    await told(page, /^Applied; .* revision 4\./);
    const now = await written();
    check(now.includes('25M') && !now.includes('mailmaster'), 'the file is as it was');
});

await step('the file: an error at its line', async () => {
    await visit(page, 'system/raw');
    const area = page.locator('.raw textarea');
    const before = await area.inputValue();
    const lines = before.split('\n');
    const at = lines.findIndex((l) => l.includes('25M'));
    check(at > 0, 'the file is shown');
    await area.fill([...lines.slice(0, at), lines[at].replace('25M', 'plenty'), ...lines.slice(at + 1)].join('\n'));
    const place = page.getByRole('button', { name: `line ${at + 1}`, exact: true });
    await place.waitFor();
    same(await page.locator('.raw pre .error').innerText(), String(at + 1), 'the line that is marked');
    await look(page, 'raw-error');
    await place.click();
    check(await area.evaluate((el) => el === document.activeElement && el.value.slice(el.selectionStart, el.selectionEnd).includes('plenty')), 'it is chosen in the text');
    await area.fill(before.replace('25M', '24M'));
    await bar.getByText('no errors').waitFor();
    check((await review()).includes('24M'), 'the differences');
    await answer(page, 'Apply');
    await told(page, /^Applied; .* revision 5\./);
    check((await written()).includes('24M'), 'the file');
});

await step('a secret is never shown', async () => {
    check(!(await written()).includes('a-very-secret-word'), 'in the text');
    await visit(page, 'domains/routes');
    check(!(await page.content()).includes('a-very-secret-word'), 'on the page');
});

await step('keys: one is made, and its record told', async () => {
    await visit(page, 'keys/signing');
    await page.getByRole('button', { name: /^(New DKIM key|Make key)/ }).first().click();
    await dialog(page).getByLabel('Domain').first().fill('example.com');
    await look(page, 'key-new');
    await page.route('**/v1/keys/dkim', (r) => r.abort());
    await dialog(page).locator('button.primary').click();
    await dialog(page).getByText('The relay does not answer.').waitFor();
    await page.unroute('**/v1/keys/dkim');
    await dialog(page).locator('button.primary').click();
    await page.getByText('v=DKIM1').first().waitFor();
    await look(page, 'key-record');
    await page.keyboard.press('Escape');
    await look(page, 'keys');
});

await step('reload', async () => {
    await visit(page, 'system');
    for (const role of ['master', 'admin', 'worker', 'store']) {
        const row = rows(page).filter({ has: page.getByText(new RegExp(`^${role}( \\d+)?$`)) }).first();
        check(/\d+ ready/.test((await row.innerText()).replace(/\s+/g, ' ')), `${role}: its pid and state: ${await row.innerText()}`);
    }
    await button(page, 'Reload').click();
    await told(page, 'The configuration file is in force.');
    await look(page, 'status');
});

await step('the doctor says how to mend what it finds', async () => {
    await visit(page, 'doctor');
    await page.locator('.finding-card').first().waitFor({ timeout: 40000 });
    const card = page.locator('.finding-card', { hasText: 'How to mend it:' }).first();
    await card.waitFor();
    await look(page, 'doctor');
    await page.getByRole('button', { name: /^Show all/ }).click();
    await look(page, 'doctor-all');
    const found = page.waitForResponse((r) => /\/v1\/doctor\?.*domain=example\.com/.test(r.url()), { timeout: 40000 });
    await page.getByLabel('Domain').selectOption('example.com');
    await found;
    await look(page, 'doctor-domain');
});

await end();
