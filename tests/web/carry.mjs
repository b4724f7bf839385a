// SPDX-License-Identifier: Apache-2.0
// What is carried out of the relay and into it: a backup as a download, and a Postfix configuration that becomes one for the relay.
import fs from 'node:fs';
import { answer, base, button, check, copied, dialog, end, given, hold, logIn, look, open, rows, same, settled, step, text, visit } from './lib.mjs';

const page = await open();
const configuration = async () => (await (await page.context().request.get(`${base}/v1/config`)).json()).text;

await step('log in', () => logIn(page, 'root'));

await step('a backup is made and comes down', async () => {
    await visit(page, 'system/backup');
    await look(page, 'backup');
    const coming = page.waitForEvent('download');
    await button(page, 'Make and download').click();
    const file = await coming;
    check(/^postern-mx\.postern\.example-\d{4}-\d\d-\d\d\.backup$/.test(file.suggestedFilename()), `its name: ${file.suggestedFilename()}`);
    await file.saveAs(given.backup);
    same(fs.readFileSync(given.backup).subarray(0, 4).toString('hex'), '28b52ffd', 'its first bytes');
    await page.getByText(`${file.suggestedFilename()} was made`).waitFor();
    check((await text(page)).includes(`postern restore ${file.suggestedFilename()}`), 'the command that restores it');
});

await step('without the quarantine, and the command is copied', async () => {
    const coming = page.waitForEvent('download');
    await page.getByLabel(/^With the messages in the quarantine/).uncheck();
    await button(page, 'Make and download').click();
    await (await coming).saveAs(`${given.backup}.small`);
    same(await copied(button(page, 'Copy').last()), 'systemctl start postern', 'what was copied');
});

await step('what cannot be is said', async () => {
    page.expect(400, '/v1/import/postfix');
    await visit(page, 'system/import');
    await page.getByLabel('or files').setInputFiles([{ name: 'virtual', mimeType: 'text/plain', buffer: Buffer.from('a b\n') }]);
    await button(page, 'Translate').click();
    await page.getByText('main.cf is not among them').waitFor();
    fs.writeFileSync(`${given.backup}.large`, Buffer.alloc(9 << 20, 'x'));
    await page.getByLabel('or files').setInputFiles(`${given.backup}.large`);
    await page.getByText('At most 500 files, 8 MB together').waitFor();
    check(await button(page, 'Translate').isDisabled(), 'too much is not sent');
});

await step('what was chosen before is not answered any more', async () => {
    const late = await hold(page, '**/v1/import/postfix', { json: { config: 'hostname: mx.other.example', taken: 1, left_out: 0, different: 0, notes: [] } });
    await page.getByLabel('or files').setInputFiles([{ name: 'main.cf', mimeType: 'text/plain', buffer: Buffer.from('a = b\n') }]);
    await button(page, 'Translate').click();
    await late.came;
    await page.getByLabel('or files').setInputFiles([{ name: 'master.cf', mimeType: 'text/plain', buffer: Buffer.from('smtp\n') }]);
    await late.go();
    await settled(page);
    check(!(await text(page)).includes('mx.other.example'), 'the result of other files');
});

await step('a Postfix folder becomes a configuration with notes', async () => {
    const before = await configuration();
    await page.getByLabel('Folder').setInputFiles(given.postfix);
    await page.getByText('maps/relay_domains').waitFor();
    check(!(await text(page)).includes('relay_domains.db'), 'what postmap made is left away');
    await button(page, 'Translate').click();
    await page.getByText(/^\d+ taken over, 2 left out, \d+ with another meaning$/).waitFor();
    check((await rows(page).allInnerTexts()).some((r) => r.includes('fax.example uucp:fax') && r.includes('left out')), 'the line that is left out');
    check((await text(page, 'pre.message-text')).includes('imported.example'), 'the configuration');
    check(!(await text(page)).includes('s3cr3t'), 'no password is shown');
    await look(page, 'import');
    same(await configuration(), before, 'the file');
});

await step('it goes to the editor as a draft, and to the file when it is applied', async () => {
    await button(page, 'Open in the editor').click();
    await page.waitForFunction(() => location.hash === '#/system/raw');
    check((await page.getByRole('textbox', { name: 'File', exact: true }).inputValue()).includes('imported.example'), 'the text in the editor');
    await page.locator('.pending-bar').getByText('no errors').waitFor();
    await look(page, 'draft');
    await button(page, 'Differences and apply …').click();
    await dialog(page).locator('.diff').waitFor();
    const diff = await text(page, 'dialog[open] .diff');
    check(diff.includes('imported.example') && diff.includes('-'), 'the differences');
    await button(page, 'Cancel').click();
    await button(page, 'Discard').click();
    await answer(page, 'Discard');
    check(!(await configuration()).includes('imported.example'), 'nothing was written');
});

await step('on a phone, in German', async () => {
    const small = await open({ width: 390, state: await page.context().storageState() });
    await small.goto(`${base}/#/system/backup`);
    await small.waitForSelector('.shell');
    await settled(small);
    await small.locator('.topbar select').selectOption('de');
    await small.getByText('Erstellen und herunterladen').waitFor();
    await look(small, 'backup-phone-de');
    await visit(small, 'system/import');
    await look(small, 'import-phone-de');
});

await end();
