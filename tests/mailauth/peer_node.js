// SPDX-License-Identifier: Apache-2.0
// The same cases for mailauth (npm): JSON lines in, JSON lines out. DNS is in the case.
'use strict';

const readline = require('node:readline');
let now = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
    constructor(...a) {
        super(...(a.length ? a : [now * 1000]));
    }
    static now() {
        return now * 1000;
    }
};
const { spf } = require('mailauth/lib/spf');
const { dkimVerify } = require('mailauth/lib/dkim/verify');
const { dkimSign } = require('mailauth/lib/dkim/sign');
const { dmarc } = require('mailauth/lib/dmarc');
const { arc } = require('mailauth/lib/arc');
const { authenticate } = require('mailauth');
const addressparser = require('nodemailer/lib/addressparser');

let zone = {};

function failure(code) {
    const e = new Error(code);
    e.code = code;
    return e;
}

async function resolver(name, type) {
    const node = zone[name.toLowerCase().replace(/\.$/, '')];
    const found = node && node[type];
    if (typeof found === 'string') throw failure('ESERVFAIL');
    if (!node) throw failure('ENOTFOUND');
    if (!found || !found.length) throw failure('ENODATA');
    if (type === 'TXT') return found.map(t => t.match(/[^]{1,255}/g) || ['']);
    if (type === 'MX') return found.map(([priority, exchange]) => ({ priority, exchange }));
    return found;
}

const message = c => Buffer.from(c.message, 'base64');
const none = { result: null };
const runs = {
    async spf(c) {
        const r = await spf({ sender: c.sender, ip: c.ip, helo: c.helo, mta: 'mx.receiver.example', resolver });
        return { result: r.status.result, reason: r.status.comment || '' };
    },
    async dkim(c) {
        const r = await dkimVerify(message(c), { resolver, curTime: new Date(now * 1000) });
        const list = r.results.filter(s => s.status.result !== 'none');
        return { signatures: list.map(s => ({ result: s.status.result, reason: s.status.comment || '' })) };
    },
    async arc(c) {
        const d = await dkimVerify(message(c), { resolver, curTime: new Date(now * 1000) });
        const r = await arc(d.arc, { resolver });
        return { result: r.status.result, reason: r.status.comment || '' };
    },
    async dmarc(c) {
        if (c.walk || c.from.length !== 1) return none;
        if ([c.spf || {}, ...c.dkim].some(s => s.result === 'temperror')) return none; // it cannot be told of them
        const authors = addressparser(c.from[0], { flatten: true }).map(a => a.address);
        const spfDomains = c.spf && c.spf.result === 'pass' ? [c.spf.domain] : [];
        const dkimDomains = c.dkim.filter(s => s.result === 'pass').map(s => ({ id: '1', domain: s.domain }));
        const r = await dmarc({ headerFrom: authors, spfDomains, dkimDomains, resolver });
        if (!r) return { result: 'permerror' };
        return { result: r.status.result, published: r.policy, reason: r.error || '' };
    },
    async sign(c) {
        const r = await dkimSign(message(c), {
            canonicalization: c.canon,
            headerList: c.headers,
            signTime: new Date(now * 1000),
            maxBodyLength: c.length,
            signatureData: [{ signingDomain: c.domain, selector: c.selector, privateKey: c.key, algorithm: c.algorithm }]
        });
        if (r.errors.length) return { result: 'refused', fields: '', reason: String(r.errors[0].err) };
        return { result: 'signed', fields: Buffer.from(r.signatures).toString('base64') };
    },
    async seal(c) {
        const r = await authenticate(message(c), {
            ip: '192.0.2.1', helo: 'mail.example', sender: 'a@unknown.example', mta: c.results.split(';')[0], resolver, disableBimi: true,
            seal: { signingDomain: c.domain, selector: c.selector, privateKey: c.key, algorithm: 'rsa-sha256' }
        });
        const at = r.headers.indexOf('\r\nAuthentication-Results:');
        const fields = r.headers.match(/^(ARC-[^]*?)\r\n(?!ARC-|\s)/);
        if (!fields || at < 0) return { result: 'refused', fields: '' };
        return { result: 'signed', fields: Buffer.from(fields[1] + '\r\n', 'binary').toString('base64') };
    }
};

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const c = JSON.parse(line);
        now = c.now;
        zone = c.zone || {};
        let answer;
        try {
            answer = runs[c.do] ? { ...(await runs[c.do](c)) } : { ...none };
        } catch (e) {
            answer = { result: 'crash', reason: String(e) };
        }
        answer.id = c.id;
        process.stdout.write(JSON.stringify(answer) + '\n');
    }
})();
