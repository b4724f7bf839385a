// SPDX-License-Identifier: Apache-2.0
// On a phone: the drawer, tables as cards, forms and dialogs that fit; then the keyboard alone, and German with dark.
import { base, button, check, dialog, end, logIn, look, open, openOne, rows, same, settled, step } from './lib.mjs';

const phone = await open({ width: 390, height: 800 });

await step('the drawer', async () => {
    await logIn(phone, 'root');
    const nav = phone.locator('#nav'), inside = () => nav.evaluate((el) => el.getBoundingClientRect().right > 10 && getComputedStyle(el).visibility !== 'hidden');
    check(!(await inside()), 'closed to begin with');
    await button(phone, 'Menu').click();
    await phone.waitForTimeout(300);
    check(await inside(), 'open');
    await look(phone, 'drawer');
    await phone.keyboard.press('Escape');
    await phone.waitForTimeout(300);
    check(!(await inside()), 'closed by Esc');
    await button(phone, 'Menu').click();
    await phone.locator('.nav a', { hasText: 'Queue' }).click();
    await settled(phone);
    await phone.waitForTimeout(300);
    check(!(await inside()) && phone.url().includes('#/queue'), 'closed by going somewhere');
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
    await one.locator('.topbar select').selectOption('de');
    await one.locator('.nav', { hasText: 'Warteschlange' }).waitFor();
    await button(one, 'Dunkle Darstellung').or(one.locator('.topbar button.icon:not(.menu-button)')).first().click();
    const ground = await one.evaluate(() => getComputedStyle(document.body).backgroundColor);
    check(ground.match(/\d+/g).slice(0, 3).every((x) => x < 80), `a dark ground: ${ground}`);
    await one.waitForTimeout(400);
    await one.context().close();
    const two = await open();
    await logIn(two, 'root');
    same(await two.evaluate(() => document.documentElement.lang), 'de', 'the language of the account elsewhere');
    await look(two, 'dashboard-de-dark');
    await two.locator('.topbar select').selectOption('en');
    await two.waitForTimeout(400);
});

await end();
