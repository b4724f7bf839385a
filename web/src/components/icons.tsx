// SPDX-License-Identifier: Apache-2.0
// Icons as strokes on a grid of 24.
const paths: Record<string, string> = {
    dashboard: 'M4 13a8 8 0 0 1 16 0M12 13l4-4M4 18h16',
    tracking: 'M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM15.5 15.5 20 20',
    queue: 'M4 6h16M4 12h16M4 18h10',
    quarantine: 'M12 3l8 3v6c0 4.5-3.3 7.8-8 9-4.7-1.2-8-4.5-8-9V6zM12 8v5M12 16v.5',
    policy: 'M4 5h16l-6 7.5V19l-4 1.5v-8z',
    domains: 'M4 7h6v6H4zM14 4h6v5h-6zM14 15h6v5h-6zM10 10h2V6.500h2M12 10v7.500h2',
    content: 'M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6',
    keys: 'M8 18a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM11 11.500 19 4M16 7l3 3',
    reports: 'M5 20V10M12 20V4M19 20v-7',
    system: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM9 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z',
    explain: 'M9.500 9a2.500 2.500 0 1 1 3.500 2.300c-.7.4-1 .9-1 1.700M12 16.500v.5M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18z',
    doctor: 'M4 12h4l2-5 4 10 2-5h4',
    account: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20c1-4 4-5.500 7.500-5.500s6.500 1.500 7.500 5.500',
    menu: 'M4 7h16M4 12h16M4 17h16',
    search: 'M10.500 17a6.500 6.500 0 1 1 0-13 6.500 6.500 0 0 1 0 13zM15.500 15.500 20 20',
    copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
    check: 'm5 12.500 4.500 4.500L19 7',
    close: 'M6 6l12 12M18 6 6 18',
    empty: 'M3 13l3-8h12l3 8v6H3zM3 13h5l1.500 3h5L16 13h5',
    sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400',
    moon: 'M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z',
    language: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM3 12h18M12 3c3 3 3.500 6 3.500 9s-.5 6-3.500 9c-3-3-3.500-6-3.500-9s.5-6 3.500-9z',
    up: 'm6 15 6-6 6 6',
    down: 'm6 9 6 6 6-6',
    left: 'm15 6-6 6 6 6',
    right: 'm9 6 6 6-6 6',
    download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
    refresh: 'M20 11a8 8 0 1 0-2 6M20 5v6h-6',
    plus: 'M12 5v14M5 12h14',
    edit: 'M4 20l1-5L16 4l4 4L9 19z',
    trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
    undo: 'M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3',
    warning: 'M12 4 2.500 20h19zM12 10v4.500M12 17v.3',
    play: 'M7 5l12 7-12 7z',
    pause: 'M8 5v14M16 5v14',
    filter: 'M4 5h16l-6 7.500V19l-4 1.500v-8z',
    link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1-1',
};

export function Icon({ name, size = 18 }: { name: string; size?: number }) {
    return (
        <svg
            width={size}
            height={size}
            viewBox="0 0 24 24"
            fill="none"
            stroke="currentColor"
            stroke-width="1.8"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            focusable="false"
        >
            <path d={paths[name] ?? paths.empty} />
        </svg>
    );
}
