// SPDX-License-Identifier: Apache-2.0
// Which page has which option: each top-level option stands in one place only. What is named nowhere is on System, "others", so that nothing
// is without a place; web/check-pages.mjs says when that happens.

/** Page, tab: top-level options, or parts of them ("checks.dns_lists"), in the order they are shown. */
export const places: Record<string, Record<string, string[]>> = {
    policy: {
        checks: ['checks'],
        lists: ['checks.allow', 'checks.block'],
        greylist: ['checks.greylist', 'checks.reputation'],
        dnslists: ['checks.dns_lists'],
        sender: ['checks.spf', 'checks.dkim', 'checks.dmarc', 'checks.arc', 'checks.authentication_timeout'],
        relaying: ['relaying', 'guard'],
        zones: ['zones'],
        limits: ['limits'],
    },
    domains: {
        domains: ['domains', 'inner_host'],
        routes: ['routes', 'smarthost'],
        aliases: ['aliases', 'mappings', 'main_domain', 'system_mail'],
        copies: ['copies'],
        tables: ['tables'],
        tls: ['tls_policies'],
    },
    content: {
        scanners: ['scanners', 'scan'],
        attachments: ['attachments'],
        virus: ['virus'],
        spam: ['spam'],
        headers: ['header_checks'],
        rules: ['rules'],
        quarantine: ['quarantine'],
        notices: ['notices'],
    },
    keys: {
        tls: ['tls'],
        signing: ['dkim', 'arc'],
        srs: ['srs'],
    },
    system: {
        general: ['hostname', 'postmaster', 'listeners'],
        auth: ['auth'],
        delivery: ['delivery', 'queue', 'timeouts'],
        web: ['web', 'webhooks'],
        processes: ['system', 'log', 'store', 'dns'],
        others: [],
    },
};

/** Every path that has a place of its own. */
const placed = Object.values(places).flatMap((tabs) => Object.values(tabs).flat());

/** Parts of the option that are shown elsewhere. */
export function elsewhere(path: string): string[] {
    return placed.filter((p) => p.startsWith(`${path}.`));
}

/** Options nobody placed. */
export function unplaced(names: string[]): string[] {
    return names.filter((n) => !placed.includes(n));
}

/** Where "domains[2].deliver" is: ["domains", "domains"]. */
export function placeOf(path: string): [string, string] {
    const plain = path.replace(/\[[0-9+]*\]/g, '');
    let best: [string, string] = ['system', 'others'], length = 0;
    for (const [page, tabs] of Object.entries(places))
        for (const [tab, paths] of Object.entries(tabs))
            for (const p of paths)
                if (p.length > length && (plain === p || plain.startsWith(`${p}.`))) {
                    best = [page, tab];
                    length = p.length;
                }
    return best;
}
