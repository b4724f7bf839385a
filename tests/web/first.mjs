// SPDX-License-Identifier: Apache-2.0
// The first start: the one-time link, the guide from a domain to the first message. given: link, domain, hop (of the inner server).
import { base, button, check, copied, end, given, hold, logOut, look, open, same, settled, step, text, told, visit } from './lib.mjs';

const page = await open();
const next = () => button(page, 'Next').click();
const field = (name) => page.getByLabel(name);

await step('the link makes the first administrator', async () => {
    await page.goto(`${base}/#/setup/${given.link}`);
    await page.fill('[name=new]', 'short');
    await page.fill('[name=again]', 'shorter');
    await look(page, 'setup');
    await button(page, 'Create and log in').click();
    check((await text(page, '.note.bad')).includes('differ'), 'two passwords that differ are told');
    await page.fill('[name=username]', 'root');
    for (const name of ['new', 'again']) await page.fill(`[name=${name}]`, 'correct horse battery');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.shell');
    check(page.url().endsWith('#/guide'), `the guide comes first, not ${page.url()}`);
});

await step('guide: the domain', async () => {
    await settled(page);
    await field('For which domain is mail received?').fill('nonsense');
    await page.getByText('This is no domain name.').waitFor();
    check(await button(page, 'Next').isDisabled(), 'one cannot go on with it');
    check(await button(page, '2. Inner server').isDisabled(), 'by no way');
    await field('For which domain is mail received?').fill('other.example');
    await field('Who takes mail to the postmaster?').fill('somebody@other');
    await page.getByText('This is no mail address.').waitFor();
    await field('Who takes mail to the postmaster?').fill('somebody@other.example');
    await look(page, 'guide-domain');
    await next();
});

await step('guide: what is typed stays, and nothing that is incomplete', async () => {
    await settled(page);
    for (const one of ['3. Recipients', '5. Apply']) check(await button(page, one).isDisabled(), `${one} needs a server`);
    await visit(page, 'system/general');
    same(await page.locator('[id="o-postmaster"]').inputValue(), 'somebody@other.example', 'the postmaster elsewhere');
    check((await text(page, '.pending-bar')).includes('1 change pending'), 'the domain without a server does not wait');
    await visit(page, 'guide');
    same(await field('Who takes mail to the postmaster?').inputValue(), 'somebody@other.example', 'the postmaster on return');
    await field('For which domain is mail received?').fill('other.example');
    await button(page, '2. Inner server').click();
    await field(/^Which server keeps the mailboxes of other\.example/).fill(given.hop);
    await button(page, '5. Apply').click();
    await page.locator('.diff').waitFor();
    await button(page, '1. Domain').click();
    await field('For which domain is mail received?').fill(given.domain);
    await field('Who takes mail to the postmaster?').fill(`bob@${given.domain}`);
    await button(page, '5. Apply').click();
    await page.locator('.diff', { hasText: given.domain }).waitFor();
    const diff = await text(page, '.diff');
    check(!diff.includes('other.example'), `nothing is left of what was corrected: ${diff}`);
    check(diff.includes(`bob@${given.domain}`), `the postmaster is there: ${diff}`);
    await button(page, '2. Inner server').click();
    await button(page, '2. Inner server').hover();
    await look(page, 'guide-steps');
});

await step('guide: the inner server', async () => {
    const server = field(/^Which server keeps the mailboxes/);
    await server.fill('127.0.0.1:1');
    await button(page, 'Test the connection').click();
    await page.getByText('That did not work; the last step says why.').waitFor();
    const late = await hold(page, '**/v1/probe');
    await button(page, 'Test the connection').click();
    await late.came;
    await server.fill('127.0.0.1:2');
    await late.go();
    await settled(page);
    same(await page.locator('.step-list').count(), 0, 'answers for another server');
    await server.fill(given.hop);
    await button(page, 'Test the connection').click();
    await page.getByText('Whether it takes mail is not known').waitFor();
    await field('An address to ask for (may stay empty)').fill(`bob@${given.domain}`);
    await button(page, 'Test the connection').click();
    await page.getByText('The server takes mail.').waitFor();
    await look(page, 'guide-server');
    await next();
});

await step('guide: recipients', async () => {
    await field('How are recipients verified?').and(page.locator(':has([value=smtp]:checked)')).waitFor(); // the usual way
    await field('How are recipients verified?').selectOption('list');
    await field('Addresses, one a line').fill(`bob@${given.domain}\nann@${given.domain}`);
    await look(page, 'guide-recipients');
    await next();
});

await step('guide: DNS records', async () => {
    await page.locator('.records-list > *').first().waitFor();
    await look(page, 'guide-records');
    check((await copied(page.locator('.records-list button').first())).length > 3, 'a record is copied with one click');
    await button(page, 'Make a DKIM key').click();
    await page.locator('.dns-record', { hasText: 'Signing key (DKIM)' }).waitFor();
    same(await button(page, 'Make a DKIM key').count(), 0, 'buttons once there is one');
    await next();
});

await step('guide: apply', async () => {
    await page.locator('.diff').waitFor();
    const diff = await text(page, '.diff');
    check(diff.includes(`bob@${given.domain}`) && diff.includes(given.hop), `the differences name both: ${diff}`);
    await look(page, 'guide-apply');
    const late = await hold(page, '**/v1/config/apply');
    await button(page, 'Apply').click();
    await late.came;
    await page.evaluate(() => (location.hash = '#/tracking'));
    await page.locator('nav [aria-current=page]', { hasText: 'Tracking' }).waitFor();
    await late.go();
    await told(page, /^Applied[.;]/);
    same(await page.evaluate(() => location.hash), '#/tracking', 'whoever is elsewhere stays there');
    await visit(page, `guide/test?domain=${given.domain}`);
});

await step('guide: test', async () => {
    await field('To which address?').fill(`bob@${given.domain}`);
    await button(page, 'Test').last().click();
    await page.getByText('The server takes mail.').waitFor();
    await page.getByText('A stranger’s message:').waitFor();
    await button(page, 'Send a test message').click();
    await page.locator('main .badge', { hasText: 'delivered' }).first().waitFor();
    await look(page, 'guide-test');
});

await step('guide: a message is sent, and its story told', async () => {
    await button(page, 'Send a test message').click();
    await page.locator('[aria-live] .badge', { hasText: 'delivered' }).waitFor();
    check((await text(page, '.reply')).includes('250'), 'with what the server said');
    await look(page, 'guide-sent');
});

await step('logout, and the link is of no use any more', async () => {
    await logOut(page);
    same(await page.locator('.note').count(), 0, 'notes: there is an account by now');
    await look(page, 'login');
    page.expect(401, '/v1/setup');
    await page.goto(`${base}/#/setup/${given.link}`);
    await page.reload();
    for (const name of ['new', 'again']) await page.fill(`[name=${name}]`, 'another good one');
    await button(page, 'Set and log in').click();
    await page.locator('.note.bad').waitFor();
    same(await page.locator('.shell').count(), 0, 'shells');
});

await end();
