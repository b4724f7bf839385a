// SPDX-License-Identifier: Apache-2.0
// The same messages through mailauth (npm), with its answers from DNS at hand: node.js WORLD WHAT HOW_LONG.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const load = createRequire(path.resolve(process.env.MAILAUTH || path.join(__dirname, '../../mailauth'), 'x.js'));
const { authenticate } = load('mailauth');
const { spf } = load('mailauth/lib/spf');
const { dkimVerify } = load('mailauth/lib/dkim/verify');
const { dmarc } = load('mailauth/lib/dmarc');

const [world, what, howLong] = process.argv.slice(2);
const file = name => fs.readFileSync(path.join(world, name));
const zone = new Map();
for (const line of file('zone').toString().split('\n')) {
    const [type, name, value] = line.split('\t');
    if (name) zone.set(`${type} ${name}`, type === 'TXT' ? [value.match(/[^]{1,255}/g)] : [value]);
}
const [ip, helo, sender] = file('envelope').toString().split('\n');
const mta = 'mx.receiver.example';
const plain = file('plain.eml');
const sealed = file('arc.eml');

async function resolver(name, type) {
    const found = zone.get(`${type} ${name.toLowerCase()}`);
    if (found) return found;
    throw Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' });
}

function must(ok, name) {
    if (!ok) throw new Error(`it is not as it should be: ${name}`);
}

async function whole(message, withArc) {
    const r = await authenticate(message, { ip, helo, sender, mta, resolver, disableBimi: true, disableArc: !withArc });
    must(r.spf.status.result === 'pass', 'spf');
    must(r.dkim.results[0].status.result === 'pass', 'dkim');
    must(r.dmarc.status.result === 'pass', 'dmarc');
    must(!withArc || r.arc.status.result === 'pass', 'arc');
    must(r.headers.length > 100, 'Authentication-Results');
}

const measurements = {
    async spf() {
        must((await spf({ sender, ip, helo, mta, resolver })).status.result === 'pass', 'spf');
    },
    async dkim() {
        must((await dkimVerify(plain, { resolver })).results[0].status.result === 'pass', 'dkim');
    },
    async dmarc() {
        const r = await dmarc({ headerFrom: ['news@example.com'], spfDomains: ['bounces.example.com'],
            dkimDomains: [{ id: '1', domain: 'example.com' }], resolver });
        must(r.status.result === 'pass', 'dmarc');
    },
    message: () => whole(plain, false),
    'message-arc': () => whole(sealed, true)
};

function cpuSeconds() {
    const u = process.cpuUsage();
    return (u.user + u.system) / 1e6;
}

(async () => {
    const once = measurements[what];
    must(once, 'no such measurement');
    const limit = howLong.endsWith('s') ? parseFloat(howLong) : 0;
    let batch = limit ? 1 : parseInt(howLong, 10);
    let n = 0;
    const warmUp = cpuSeconds() + limit / 2; // its compiler needs some
    do await once();
    while (cpuSeconds() < warmUp);
    const begin = cpuSeconds();
    let took;
    do {
        for (let i = 0; i < batch; i++) await once();
        n += batch;
        took = cpuSeconds() - begin;
        if (took < limit / 20) batch *= 2;
    } while (took < limit);
    console.log(JSON.stringify({ program: 'mailauth', what, messages: n, cpu_seconds: took }));
})();
