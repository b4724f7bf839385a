// SPDX-License-Identifier: Apache-2.0
// What is looked at: a message, a TLS report, the texts of notices, rules for transparent zones, how DNS lists are. given: message, report (JSON text), list (zone).
import { Buffer } from 'node:buffer';
import { answer, button, check, copied, dialog, end, given, logIn, look, open, same, step, text, visit } from './lib.mjs';

const page = await open();
const file = (name, content) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });

await step('log in', () => logIn(page, 'root'));

await step('into a message that is typed, and one from a file', async () => {
    await visit(page, 'explain');
    await page.getByRole('tab', { name: 'Look into a message' }).click();
    check(await button(page, 'Look into it').isDisabled(), 'there is nothing to look into');
    await page.getByLabel(/^Or its text/).fill('Subject: hello\n\nsome text\n');
    await button(page, 'Look into it').click();
    await page.getByText('What was seen').waitFor();
    check(!(await text(page)).includes('would be stopped'), 'this passes');
    await page.setInputFiles('input[type=file]', file('m.eml', given.message));
    await button(page, 'Look into it').click();
    await page.getByText('would be stopped').waitFor();
    const shown = await text(page);
    for (const part of ['an <b>invoice</b>', 'invoice.pdf.exe', 'extension exe', 'http://evil.example/x', 'http://bank.example']) check(shown.includes(part), `it shows ${part}`);
    same(await page.locator('main a[href*="evil.example"]').count(), 0, 'links to press');
    await look(page, 'scan');
});

await step('a TLS report', async () => {
    await visit(page, 'reports');
    await page.getByRole('tab', { name: 'TLS report' }).click();
    await page.setInputFiles('input[type=file]', file('r.json', given.report));
    await button(page, 'Show').click();
    await page.getByText('failed: 303').waitFor();
    const shown = await text(page);
    for (const part of ['Company-X', 'company-y.example', 'starttls-not-supported: X509_V_ERR']) check(shown.includes(part), `it shows ${part}`);
    await look(page, 'tls-report');
    page.expect(400, '/v1/tls-report/show');
    await page.setInputFiles('input[type=file]', file('r.json', 'this is none'));
    await page.getByText('failed: 303').waitFor({ state: 'detached' }); // it was of another file
    await button(page, 'Show').click();
    await page.getByText(/the report is not JSON/).waitFor();
});

await step('the texts of notices', async () => {
    await visit(page, 'content/notices');
    await button(page, 'failed').click();
    await dialog(page).getByText('In use: a text of your own').waitFor();
    check((await text(page, 'dialog[open]')).includes('Tut uns leid'), 'ours');
    await look(page, 'notice');
    await dialog(page).getByLabel('Language').selectOption('en');
    await dialog(page).getByText('In use: the built-in text').waitFor();
    check((await text(page, 'dialog[open]')).includes('/en/failed.txt'), 'where one of ours would be');
    await answer(page, 'Close');
});

await step('rules for transparent zones', async () => {
    await visit(page, 'policy/zones');
    await page.getByText('Show the rules').click();
    check((await text(page, 'main pre')).includes('table inet postern {'), 'the rules');
    check((await copied(button(page, 'Copy the rules'))).includes('table inet postern {'), 'what was copied');
    await look(page, 'nft');
});

await step('how DNS lists are', async () => {
    await visit(page, 'policy/dnslists');
    const one = page.locator('.catalogue li', { hasText: given.list });
    await one.locator('.badge').first().waitFor();
    await look(page, 'dns-lists');
});
await end();
