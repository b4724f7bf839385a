// SPDX-License-Identifier: Apache-2.0
// The pages: where they are, who sees them, and the file that draws them (loaded when it is needed).
import type { ComponentType } from 'preact';
import type { Key } from './i18n';
import type { Query } from './router';
import type { Right } from './session';

export interface PageProps {
    /** Behind the page's own name in the address. */
    rest: string[];
    query: Record<string, string>;
    /** To another address of the page; nothing happens when its present one is no longer shown. */
    go: (rest: string[], query?: Query, replace?: boolean) => void;
}

export interface Page {
    id: string;
    title: Key;
    icon: string;
    /** Any of these rights. */
    rights: Right[];
    /** In the navigation, or only by links. */
    nav: boolean;
    load: () => Promise<{ default: ComponentType<PageProps> }>;
}

export const pages: Page[] = [
    { id: 'dashboard', title: 'nav.dashboard', icon: 'dashboard', rights: ['status'], nav: true, load: () => import('./pages/dashboard') },
    { id: 'tracking', title: 'nav.tracking', icon: 'tracking', rights: ['mail'], nav: true, load: () => import('./pages/tracking') },
    { id: 'queue', title: 'nav.queue', icon: 'queue', rights: ['mail'], nav: true, load: () => import('./pages/queue') },
    {
        id: 'quarantine',
        title: 'nav.quarantine',
        icon: 'quarantine',
        rights: ['mail', 'own'],
        nav: true,
        load: () => import('./pages/quarantine'),
    },
    { id: 'policy', title: 'nav.policy', icon: 'policy', rights: ['config'], nav: true, load: () => import('./pages/policy') },
    { id: 'domains', title: 'nav.domains', icon: 'domains', rights: ['config'], nav: true, load: () => import('./pages/domains') },
    { id: 'content', title: 'nav.content', icon: 'content', rights: ['config'], nav: true, load: () => import('./pages/content') },
    { id: 'keys', title: 'nav.keys', icon: 'keys', rights: ['config'], nav: true, load: () => import('./pages/keys') },
    { id: 'reports', title: 'nav.reports', icon: 'reports', rights: ['status'], nav: true, load: () => import('./pages/reports') },
    {
        id: 'system',
        title: 'nav.system',
        icon: 'system',
        rights: ['config', 'accounts', 'audit'],
        nav: true,
        load: () => import('./pages/system'),
    },
    { id: 'explain', title: 'nav.explain', icon: 'explain', rights: ['mail'], nav: true, load: () => import('./pages/explain') },
    { id: 'doctor', title: 'nav.doctor', icon: 'doctor', rights: ['config'], nav: true, load: () => import('./pages/doctor') },
    { id: 'guide', title: 'nav.guide', icon: 'domains', rights: ['config'], nav: false, load: () => import('./pages/guide') },
    { id: 'account', title: 'nav.account', icon: 'account', rights: ['self'], nav: false, load: () => import('./pages/account') },
];
