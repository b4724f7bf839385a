// SPDX-License-Identifier: Apache-2.0
// What the scripts here share: Debian's Chromium, steps that are told as lines of JSON, and whatever no page may do: errors in the console, breaches of the
// Content-Security-Policy, answers that nobody expected, requests to others, and what axe-core finds to be serious.
//
//     node SCRIPT.mjs https://127.0.0.1:9443 '{"link": "...", ...}'
//
// Each line is {"step", "ok", "ms"}, with "error" where it failed, and at last {"faults": [...]}. The exit code is 0 when all went well.
import fs from 'node:fs';
import path from 'node:path';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const base = process.argv[2],
    given = JSON.parse(process.argv[3] ?? '{}');
export const PASSWORD = given.password ?? 'correct horse battery';
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const faults = [],
    pages = new Set();
let browser;

export const tell = (line) => process.stdout.write(JSON.stringify(line) + '\n');
export const fault = (text) => faults.includes(text) || faults.push(text);

/** Fails the step. */
export function check(condition, text) {
    if (!condition) throw new Error(text);
}

export function same(got, wanted, what = 'value') {
    const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
    check(a === b, `${what}: ${a} instead of ${b}`);
}

/** One thing a person does. The script ends with the first that fails; what its pages look like then is kept. */
export async function step(name, run) {
    const start = Date.now();
    try {
        await run();
        tell({ step: name, ok: true, ms: Date.now() - start });
    } catch (e) {
        tell({ step: name, ok: false, ms: Date.now() - start, error: String(e.message ?? e).replace(/\x1b\[\d+m/g, '') });
        let n = 0;
        for (const p of pages) await p.screenshot({ path: file(`failed-${n++}`), timeout: 3000 }).catch(() => undefined);
        await end(1);
    }
}

export async function end(code = 0) {
    tell({ faults });
    await browser?.close();
    process.exit(code || (faults.length ? 1 : 0));
}

const file = (name) => path.join(given.artifacts ?? '.', `${given.name ?? 'page'}-${name}.png`);

/** A browser of its own: no cookies yet, or those of `state`. options: width, scheme ("dark"), locale. page.expect(status, "/v1/...") allows for an answer of 400 and above. */
export async function open({ width = 1360, height = 860, scheme = 'light', locale = 'en-US', state } = {}) {
    browser ??= await chromium.launch({ executablePath: given.chromium ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
    const context = await browser.newContext({
        viewport: { width, height }, storageState: state, ignoreHTTPSErrors: true, colorScheme: scheme, locale, reducedMotion: 'reduce',
        hasTouch: width < 600, permissions: ['clipboard-read', 'clipboard-write'],
    });
    const page = await context.newPage();
    page.setDefaultTimeout(15000);
    pages.add(page);
    const expected = [[401, '/v1/session']];
    page.expect = (status, where) => expected.push([status, where]);
    page.on('pageerror', (e) => fault(`${page.url()}: ${e.message}`));
    page.on('console', (m) => {
        if (['error', 'warning'].includes(m.type()) && !/^Failed to load resource/.test(m.text())) fault(`${page.url()}: console: ${m.text()}`);
    });
    page.on('request', (r) => {
        if (!r.url().startsWith(`${base}/`) && !/^(data|blob):/.test(r.url())) fault(`a request to somebody else: ${r.url()}`);
    });
    page.on('response', (r) => {
        const where = new URL(r.url()).pathname;
        if (r.status() >= 400 && !expected.some(([status, prefix]) => status === r.status() && where.startsWith(prefix)))
            fault(`${r.request().method()} ${where} was answered with ${r.status()}`);
    });
    await page.addInitScript(() =>
        addEventListener('securitypolicyviolation', (e) => console.error(`Content-Security-Policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`)),
    );
    return page;
}

/** To a page of the UI: "queue?state=held". Nothing is loaded anew. */
export async function visit(page, where) {
    await page.evaluate((h) => (location.hash = h), `#/${where}`);
    await settled(page);
}

/** Until nothing more is being fetched or drawn. */
export async function settled(page) {
    await page.waitForFunction(() => {
        const busy = document.querySelector('.busy, .fading, [aria-busy=true]'), root = document.querySelector('main, .gate');
        if (busy || !root || !root.textContent.trim()) return (window.calm = 0), false;
        return (window.calm = (window.calm ?? 0) + 1) > 2;
    }, undefined, { polling: 40 });
    await page.evaluate(() => (window.calm = 0));
}

export async function axe(page, name) {
    if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE);
    const found = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }).then((r) => r.violations));
    for (const v of found.filter((x) => ['serious', 'critical'].includes(x.impact)))
        for (const node of v.nodes.slice(0, 4)) fault(`axe: ${name}: ${v.id} (${v.impact}) at ${node.target.join(' ')}: ${node.failureSummary?.replace(/\s+/g, ' ').slice(0, 220)}`);
}

/** Keeps a picture, and looks whether everybody can use what it shows: by axe-core, and that nothing sticks out at the side. */
export async function look(page, name) {
    await settled(page);
    await page.evaluate(() => scrollTo(0, 0));
    await axe(page, name);
    const wide = await page.evaluate(() => {
        const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
        const outside = over > 0 && [...document.querySelectorAll('body *')].filter((el) => el.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
        return outside && `${over} pixels: ${outside.slice(0, 3).map((el) => `${el.tagName} ${el.getAttribute('class')}`)}`;
    });
    if (wide) fault(`${name}: the page is wider than the window by ${wide}`);
    await page.screenshot({ path: file(name), fullPage: true });
}

export async function logIn(page, name, password = PASSWORD, code) {
    await page.goto(`${base}/`);
    await typeLogIn(page, name, password);
    if (code) {
        await page.fill('[name=code]', code);
        await page.keyboard.press('Enter');
    }
    await page.waitForSelector('.shell');
    await settled(page);
}

export async function typeLogIn(page, name, password) {
    await page.waitForSelector('[name=username]');
    await page.fill('[name=username]', name);
    await page.fill('[name=password]', password);
    await page.keyboard.press('Enter');
}

export async function logOut(page) {
    await page.locator('.topbar .menu > button').click();
    await page.locator('.topbar .menu li > button').click();
    await page.waitForSelector('[name=username]');
}

/** Of RFC 6238, for a secret in Base32; steps: half minutes from now. */
export function codeOf(secret, steps = 0) {
    const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
    const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
    const mac = crypto.createHmac('sha1', key).update(counter).digest(),
        at = mac[19] & 15;
    return String((mac.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, '0');
}

export const button = (page, name) => page.getByRole('button', { name, exact: true });
export const dialog = (page) => page.locator('dialog[open]').last();

/** The dialog's own answer: its last button. */
export async function answer(page, name) {
    await dialog(page).getByRole('button', { name, exact: true }).click();
    await page.waitForSelector('dialog[open]', { state: 'detached' });
}

/** What is told at the edge; takes it away, so that the next is new. */
export async function told(page, pattern) {
    const one = page.locator('.toast').filter({ hasText: pattern }).first();
    await one.waitFor();
    check(!(await one.evaluate((el) => el.classList.contains('bad'))), `told as an error: ${await one.textContent()}`);
    await one.locator('button').click();
}

/** Presses a button, answers its question, and hears that it is done. */
export async function act(page, name, confirm = name, done = 'Done for 1 message.') {
    await button(page, name).click();
    await answer(page, confirm);
    await told(page, done);
}

/** Presses what copies something, and gives that. */
export async function copied(place) {
    const page = place.page();
    await page.evaluate(() => navigator.clipboard.writeText(''));
    await place.click();
    return (await page.waitForFunction(() => navigator.clipboard.readText())).jsonValue();
}

/** Chooses language or theme, until the account has it. */
export async function wish(page, choose) {
    const kept = page.waitForResponse((r) => r.request().method() === 'PATCH' && r.url() === `${base}/v1/account`);
    await choose();
    await kept;
}

/** What is asked from here on gets its answer when the function that this gives is called. method: others are not held up; answer: instead of the relay's. */
export async function hold(page, where, { method = 'POST', json } = {}) {
    let go, asked;
    const gate = new Promise((done) => (go = done)), came = new Promise((done) => (asked = done)); /* with the request */
    await page.route(where, async (r) => {
        if (r.request().method() !== method) return r.fallback();
        const answer = json ? { json } : { response: await r.fetch() };
        asked(r.request());
        await gate;
        await r.fulfill(answer);
    });
    return {
        came,
        async go() {
            const request = await came, arrived = page.waitForEvent('requestfinished', (r) => r === request);
            go();
            await arrived;
            await page.unroute(where);
        },
    };
}

export const rows = (page) => page.locator('main tbody tr');

/** Presses what opens one of a list; where: "tracking". */
export async function openOne(page, what, where) {
    await what.click();
    await page.waitForFunction((begin) => location.hash.startsWith(begin) && location.hash.length > begin.length, `#/${where}/`);
    await settled(page);
}

export async function text(page, selector = 'main') {
    return (await page.locator(selector).first().innerText()).replace(/\s+/g, ' ');
}
