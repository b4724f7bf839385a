// SPDX-License-Identifier: Apache-2.0
// From one DKIM key to the next, while somebody enters and removes the records in the DNS between the stages. given: stage, domain, and the selectors
// `first` and `next`, as far as they are known.
import { answer, button, check, dialog, end, given, logIn, look, open, rows, same, settled, step, text, told, visit } from './lib.mjs';

const page = await open();
const row = (selector) => rows(page).filter({ hasText: selector });
const close = async () => {
    await button(dialog(page), 'Close').last().click();
    await page.waitForSelector('dialog[open]', { state: 'detached' });
};
const rotate = async (selector, does = 'Rotate') => { /* or "Switch on" */
    await button(row(selector), does).click();
    const asked = does === 'Rotate' ? `Rotate the key of ${given.domain}?` : `Sign with the key ${selector}._domainkey.${given.domain}?`;
    same((await dialog(page).locator('h2').innerText()).trim(), asked, 'the question');
    await button(dialog(page), does).click();
};
/** Which record the dialog wants to be entered. */
const wanted = async () => {
    await dialog(page).getByText('v=DKIM1').first().waitFor();
    return text(page, 'dialog[open] .dns-record');
};
const stages = {
    async make() {
        await button(page, 'New DKIM key').click();
        await dialog(page).getByLabel('Domain').fill(given.domain);
        await dialog(page).getByLabel('Selector').fill('not a selector!');
        page.expect(400, '/v1/keys/dkim');
        page.expect(422, '/v1/keys/dkim');
        await button(page, 'Make key').click();
        await dialog(page).locator('.note.bad').waitFor();
        await dialog(page).getByLabel('Selector').fill(given.first);
        await button(page, 'Make key').click();
        check((await wanted()).includes(`${given.first}._domainkey`), 'the record is told');
        await close();
        await row(given.first).getByText('not checked').waitFor();
        await button(row(given.first), 'Check').click();
        await row(given.first).getByText('not published').waitFor();
        await row(given.first).getByText('waits').waitFor();
        await rotate(given.first, 'Switch on'); /* too early: its record is told again */
        check((await wanted()).includes(`${given.first}._domainkey`), 'the record that is missing');
        await close();
        await look(page, 'dkim-missing');
    },
    async other() {
        await button(row(given.first), 'Check').click();
        await row(given.first).getByText('another key is published').waitFor();
    },
    async prepare() {
        await button(page, 'Check all').click();
        await row(given.first).getByText('published', { exact: true }).waitFor();
        await rotate(given.first, 'Switch on');
        await told(page, `The new key of ${given.domain} signs from now on.`);
        await row(given.first).getByText('signs').waitFor();
        await rotate(given.first);
        check(!(await wanted()).includes(`${given.first}._domainkey`), 'the record of another key is told');
        await look(page, 'dkim-prepared');
        await close();
        await settled(page);
        same(await rows(page).count(), 2, 'keys');
        await rotate(given.first); /* too early: its record is told again */
        await wanted();
        await close();
        await settled(page);
        same(await rows(page).count(), 2, 'keys');
        same(await rows(page).getByText('waits', { exact: true }).count(), 1, 'keys that wait');
    },
    async change() {
        await button(page, 'Check all').click();
        await row(given.next).getByText('published', { exact: true }).waitFor();
        await rotate(given.first);
        await told(page, `The new key of ${given.domain} signs from now on.`);
        await row(given.next).getByText('signs').waitFor();
        await row(given.first).getByText('waits').waitFor();
        await rotate(given.next);
        await told(page, new RegExp(`Take the old record out of the DNS, then rotate once more: .*${given.first}._domainkey`));
        await look(page, 'dkim-changed');
    },
    async retire() {
        await rotate(given.next);
        await told(page, `The old key of ${given.domain} is no longer in the configuration.`);
        await page.waitForFunction(() => document.querySelectorAll('main tbody tr').length === 1);
        await button(row(given.next), 'Record').click();
        check((await wanted()).includes(`${given.next}._domainkey`), 'the key that is left');
        await close();
    },
};

await step('log in', () => logIn(page, 'root'));
await step('keys', async () => {
    await visit(page, 'keys/signing');
    await page.locator('main').getByText('DKIM keys').first().waitFor();
    await settled(page);
});
await step(given.stage, stages[given.stage]);
await end();
