// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system has it ("auto") or as chosen.
export const themes = ['auto', 'light', 'dark'] as const;

export function storedTheme(): string {
    return localStorage.getItem('theme') ?? 'auto';
}

export function setTheme(to: string): void {
    const theme = (themes as readonly string[]).includes(to) ? to : 'auto';
    localStorage.setItem('theme', theme);
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
}
