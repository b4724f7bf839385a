// SPDX-License-Identifier: Apache-2.0
// On a phone: the drawer, tables as cards, forms and dialogs that fit; then the keyboard alone, and German with dark.
import { base, button, check, dialog, end, logIn, look, open, openOne, rows, same, settled, step, wish } from './lib.mjs';

const phone = await open({ width: 390, height: 800 });

await step('the drawer', async () => {
    await logIn(phone, 'root');
    const drawer = (open) => phone.waitForFunction((wanted) => {
        const nav = document.querySelector('#nav');
        return (nav.getBoundingClientRect().right > 10 && getComputedStyle(nav).visibility !== 'hidden') === wanted;
    }, open);
    await drawer(false);
    await button(phone, 'Menu').click();
    await drawer(true);
    await look(phone, 'drawer');
    await phone.keyboard.press('Escape');
    await drawer(false);
    await button(phone, 'Menu').click();
    await phone.locator('.nav a', { hasText: 'Queue' }).click();
    await phone.waitForFunction(() => location.hash === '#/queue');
    await drawer(false);
    await settled(phone);
});

await step('a table and its questions fit', async () => {
    await rows(phone).first().locator('input[type=checkbox]').check();
    await look(phone, 'chosen');
    await button(phone, 'Hold').click();
    await look(phone, 'question');
    await button(phone, 'Cancel').click();
    await openOne(phone, rows(phone).first().locator('td').nth(2), 'queue/message');
    await look(phone, 'message');
    await phone.context().close();
});

await step('the keyboard alone', async () => {
    const page = await open();
    await logIn(page, 'root');
    await page.reload();
    await settled(page);
    await page.keyboard.press('Tab');
    check((await page.evaluate(() => document.activeElement.className)).includes('skip'), 'first: skip to the content');
    await page.keyboard.press('Enter');
    same(await page.evaluate(() => document.activeElement.id), 'main', 'where it leads');
    for (let i = 0; i < 40 && !(await page.evaluate(() => document.activeElement.textContent === 'Queue')); i++) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash === '#/queue');
    await settled(page);
    same(await page.evaluate(() => document.activeElement.id), 'main', 'focus on a new page');
    for (let i = 0; i < 60 && !(await page.evaluate(() => document.activeElement.tagName === 'TR')); i++) await page.keyboard.press('Tab');
    await page.keyboard.press(' ');
    for (let i = 0; i < 40 && !(await page.evaluate(() => document.activeElement.textContent === 'Hold')); i++) await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await dialog(page).waitFor();
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'detached' });
    same(await page.evaluate(() => document.activeElement.textContent), 'Hold', 'focus comes back');
    await page.context().close();
});

await step('German, dark, remembered by the account', async () => {
    const page = await open({ locale: 'de-DE' });
    await page.goto(`${base}/`);
    await page.getByText('Anmelden').first().waitFor();
    same(await page.evaluate(() => document.documentElement.lang), 'de', 'the language of the browser');
    await page.context().close();
    const one = await open();
    await logIn(one, 'root');
    await wish(one, () => one.locator('.topbar select').selectOption('de'));
    await one.locator('.nav', { hasText: 'Warteschlange' }).waitFor();
    await one.waitForFunction(() => document.title.startsWith('Übersicht'));
    await wish(one, () => button(one, 'Dunkle Darstellung').click());
    const ground = await one.evaluate(() => getComputedStyle(document.body).backgroundColor);
    check(ground.match(/\d+/g).slice(0, 3).every((x) => x < 80), `a dark ground: ${ground}`);
    await one.context().close();
    const two = await open();
    await logIn(two, 'root');
    same(await two.evaluate(() => document.documentElement.lang), 'de', 'the language of the account elsewhere');
    await look(two, 'dashboard-de-dark');
    await wish(two, () => two.locator('.topbar select').selectOption('en'));
    await two.context().close();
});

await step('of two languages the one chosen last counts, whichever comes first', async () => {
    const page = await open();
    await logIn(page, 'root');
    let go;
    const gate = new Promise((done) => (go = done));
    await page.route('**/de-*.js', async (r) => {
        await gate;
        await r.continue();
    });
    const choose = page.locator('.topbar select');
    const german = page.waitForEvent('requestfinished', (r) => /\/de-[^/]*\.js$/.test(r.url()));
    await choose.selectOption('de');
    await choose.selectOption('en');
    go();
    await german;
    await settled(page);
    same(await page.evaluate(() => document.documentElement.lang), 'en', 'the language');
    await page.context().close();
});

await end();
