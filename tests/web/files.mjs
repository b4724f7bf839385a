// SPDX-License-Identifier: Apache-2.0
// What is kept as a file, what is pasted, and webhooks. given: hooks (how many there are), good and bad (what one of them is called), revision (a text of revision 1).
import fs from 'node:fs';
import { answer, button, check, dialog, end, given, logIn, look, open, rows, same, settled, step, text, visit } from './lib.mjs';

const page = await open();
/** The name and the text of what a click keeps. */
async function kept(place) {
    const [file] = await Promise.all([page.waitForEvent('download'), place.click()]);
    return [file.suggestedFilename(), fs.readFileSync(await file.path(), 'utf8')];
}

await step('log in', () => logIn(page, 'root'));

await step('a revision is kept as a file', async () => {
    await visit(page, 'system/revisions');
    await rows(page).last().locator('button.link').click();
    await dialog(page).locator('.diff').waitFor();
    const [name, file] = await kept(button(dialog(page), 'Download'));
    same(name, 'postern-1.yaml');
    check(file.includes(given.revision) && !file.includes(given.secret), `the text from before the change, without its secrets: ${file}`);
    await page.keyboard.press('Escape');
});

await step('reports: tables as CSV files', async () => {
    await visit(page, 'reports');
    const csv = page.getByRole('button', { name: 'CSV' });
    const n = await csv.count();
    check(n >= 3, `${n} tables can be kept`);
    for (let i = 0; i < n; i++) {
        const [name, file] = await kept(csv.nth(i));
        check(/^postern-[a-z_]+-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.csv$/.test(name), `it is called ${name}`);
        const lines = file.split('\r\n'), width = lines[0].split(',').length;
        same(lines.pop(), '', 'the end');
        check(lines.length > 1 && width > 1, `${name} has lines: ${file.slice(0, 200)}`);
        check(!lines.some((l) => /^"?[=+@-]/.test(l)), `nothing in ${name} is a formula`);
        check(lines.every((l) => l.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/).length === width), `${name} has ${width} columns everywhere`);
    }
});

await step('a list is pasted', async () => {
    await visit(page, 'policy/lists');
    const list = page.locator('main .option', { has: page.locator('code[title="checks.block.clients"]') }).last();
    await button(list, 'Paste many …').click();
    await dialog(page).locator('textarea').fill('198.51.100.7\n\n  203.0.113.0/24   # sends nothing but junk\n192.0.2.300\n');
    await look(page, 'paste');
    await button(dialog(page), 'Add 3 entries').click();
    const bar = page.locator('.pending-bar');
    await bar.locator('.badge.bad').waitFor(); // the last one is no address
    await button(page, 'Differences and apply …').click();
    const diff = dialog(page).locator('.diff');
    await diff.waitFor();
    for (const part of ['198.51.100.7', '203.0.113.0/24', 'sends nothing but junk']) check((await diff.innerText()).includes(part), `the differences have ${part}`);
    check(await button(page, 'Apply').isDisabled(), 'what has errors cannot be applied');
    await button(page, 'Cancel').click();
    await button(page, 'Discard').click();
    await answer(page, 'Discard');
});

await step('webhooks: each gets a test event', async () => {
    await visit(page, 'system/web');
    await button(page, 'Send a test event').click();
    await page.locator('main table', { hasText: given.good }).waitFor();
    same(await page.locator('main table').first().locator('tbody tr').count(), given.hooks, 'webhooks');
    const row = (what) => page.locator('main table').first().locator('tbody tr', { hasText: what });
    await row(given.good).locator('.badge.ok', { hasText: '200' }).waitFor();
    await row(given.bad).locator('.badge.bad').waitFor();
    await settled(page);
    await look(page, 'webhooks');
    check((await text(page)).includes('Try the webhooks'), 'the panel');
});

await end();
