// SPDX-License-Identifier: Apache-2.0
// For tests/bench/web_bench.py: how soon something is seen of each page, how soon it is complete, and what came over the line, for a browser that has nothing
// of it in its cache. given: pages, loads. One line of JSON per load.
import { base, end, given, logIn, open, settled, tell } from './lib.mjs';

const first = await open();
await logIn(first, 'root');
const state = await first.context().storageState();
await first.context().close();

async function load(page, where) {
    let bytes = 0;
    const arrived = [];
    const on = (request) => arrived.push(request.sizes().then((s) => (bytes += s.responseBodySize + s.responseHeadersSize)).catch(() => 0));
    page.on('requestfinished', on);
    await page.goto(`${base}/#/${where}`, { waitUntil: 'load' });
    const paint = await page.evaluate(() => new Promise((done) => {
        new PerformanceObserver((list) => list.getEntriesByName('first-contentful-paint').forEach((e) => done(e.startTime))).observe({ type: 'paint', buffered: true });
    }));
    await settled(page);
    const ready = await page.evaluate(() => performance.now());
    await Promise.all(arrived);
    page.off('requestfinished', on);
    return { paint, ready, bytes };
}

for (const where of given.pages)
    for (let i = 0; i < given.loads; i++) {
        const page = await open({ state });
        tell({ page: where, ...(await load(page, where)) });
        await page.context().close();
    }
await end();
