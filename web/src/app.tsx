// SPDX-License-Identifier: Apache-2.0
// The shell: navigation at the left, search and account above, the page at hand in the middle.
import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { del } from './api';
import { Busy, Failed, Icon, Note, Overlays, PageHead, attempt, useSlash } from './components';
import { GuideOffer } from './components/guide-offer';
import { language, languageName, languages, t, useLanguage } from './i18n';
import { pages } from './pages';
import type { Page, PageProps } from './pages';
import { href, navigate, parse, useRoute } from './router';
import type { Route } from './router';
import { may, setSession, useSession } from './session';
import type { Session } from './session';
import { storedTheme } from './theme';
import { chooseLanguage, chooseTheme } from './wishes';
import icon from './icon.svg';

export function App() {
    useLanguage();
    const who = useSession(),
        route = useRoute();
    let inner;
    if (route.path[0] === 'setup' && route.path[1])
        inner = <Loaded load={() => import('./pages/setup')} props={pageProps('setup', route)} />;
    else if (who) inner = <Shell who={who} route={route} />;
    else if (who === null) inner = <Loaded load={() => import('./pages/login')} props={pageProps('login', route)} />;
    else
        inner = (
            <div class="gate">
                <Failed error={new Error(t('error.network'))} retry={() => location.reload()} />
            </div>
        );
    return (
        <>
            {inner}
            <Overlays />
        </>
    );
}

/** go: an answer may come late, and whoever is elsewhere by then stays there. */
function pageProps(id: string, route: Route): PageProps {
    const go: PageProps['go'] = (rest, query, replace) => {
        if (href(parse(location.hash).path) === href(route.path)) navigate([id, ...rest], query, replace);
    };
    return { rest: route.path.slice(1), query: route.query, go };
}

/** A page's own file, loaded when it is first shown. */
function Loaded({ load, props }: { load: Page['load']; props: PageProps }) {
    const [state, setState] = useState<{ of?: Page['load']; Inner?: ComponentType<PageProps>; error?: unknown }>({});
    const name = String(load);
    useEffect(() => {
        let on = true;
        load().then(
            (m) => on && setState({ of: load, Inner: m.default }),
            (error) => on && setState({ of: load, error }),
        );
        return () => void (on = false);
    }, [name]);
    if (!state.of || String(state.of) !== name) return <Busy />;
    if (state.error) return <Failed error={new Error(t('error.page'))} retry={() => location.reload()} />;
    const Inner = state.Inner!;
    return <Inner {...props} />;
}

const allowed = (page: Page) => page.rights.some(may);

function Shell({ who, route }: { who: Session; route: Route }) {
    const [drawer, setDrawer] = useState(false);
    const main = useRef<HTMLElement>(null),
        first = useRef(true);
    const here = pages.find((p) => p.id === route.path[0]);
    const shown = here && allowed(here) ? here : undefined;
    useSlash();
    useEffect(() => {
        /* asked now: who was quick may be on his way elsewhere */
        if (!parse(location.hash).path.length) navigate([pages.find((p) => p.nav && allowed(p))?.id ?? 'account'], undefined, true);
    }, [route.path[0]]);
    const title = `${shown ? t(shown.title) + ' – ' : ''}${who.hostname || 'Postern'}`;
    useEffect(() => void (document.title = title), [title]);
    useEffect(() => {
        /* a new page: read from its beginning */
        setDrawer(false);
        if (first.current) first.current = false;
        else main.current?.focus({ preventScroll: true });
        scrollTo(0, 0);
    }, [route.path.join('/')]);
    useEffect(() => {
        const f = (e: KeyboardEvent) => {
            if (e.key === 'Escape') setDrawer(false);
        };
        addEventListener('keydown', f);
        return () => removeEventListener('keydown', f);
    }, []);
    return (
        <div class="shell">
            <a
                class="skip"
                href="#main"
                onClick={(e) => {
                    e.preventDefault();
                    main.current?.focus();
                }}
            >
                {t('shell.skip')}
            </a>
            <nav class={`nav ${drawer ? 'shown' : ''}`} id="nav" aria-label={t('shell.navigation')}>
                <a class="brand" href="#/">
                    <img src={icon} alt="" />
                    Postern
                </a>
                <ul>
                    {pages
                        .filter((p) => p.nav && allowed(p))
                        .map((p) => (
                            <li key={p.id}>
                                <a href={href([p.id])} aria-current={p === shown ? 'page' : undefined} onClick={() => setDrawer(false)}>
                                    <Icon name={p.icon} />
                                    {t(p.title)}
                                </a>
                            </li>
                        ))}
                </ul>
                <div class="foot">
                    {who.hostname}
                    <br />
                    Postern {who.version}
                </div>
            </nav>
            <button
                type="button"
                class={`scrim ${drawer ? 'shown' : ''}`}
                aria-label={t('shell.close_menu')}
                tabIndex={drawer ? 0 : -1}
                onClick={() => setDrawer(false)}
            />
            <div class="page">
                <header class="topbar">
                    <button
                        type="button"
                        class="icon menu-button"
                        aria-label={t('shell.menu')}
                        aria-expanded={drawer}
                        aria-controls="nav"
                        onClick={() => setDrawer(!drawer)}
                    >
                        <Icon name="menu" />
                    </button>
                    {may('mail') && <Search />}
                    <span class="grow" />
                    <LanguageMenu />
                    <ThemeButton />
                    <AccountMenu who={who} />
                </header>
                <main ref={main} id="main" tabIndex={-1}>
                    {shown?.id === 'dashboard' && <GuideOffer />}
                    {shown ? (
                        <Loaded load={shown.load} props={pageProps(shown.id, route)} key={shown.id} />
                    ) : route.path.length ? (
                        <>
                            <PageHead title={here ? t(here.title) : t('error.no_page_title')} />
                            <Note tone="warn">{t(here ? 'error.not_for_you' : 'error.no_page')}</Note>
                        </>
                    ) : null}
                </main>
            </div>
        </div>
    );
}

/** An id, an address, a domain, a client: what the words of `postern trace` are. */
function Search() {
    const [text, setText] = useState('');
    const submit = (e: Event) => {
        e.preventDefault();
        const word = text.trim();
        if (!word) return;
        setText('');
        if (/^[0-9a-z]{13}$/.test(word)) navigate(['tracking', word]);
        else if (/^[0-9a-fA-F.:]+(\/\d+)?$/.test(word)) navigate(['tracking'], { client: word });
        else if (/^<.*>$/.test(word)) navigate(['tracking'], { message_id: word });
        else if (/^\S*[@.]\S*$/.test(word)) navigate(['tracking'], { address: word });
        else navigate(['tracking'], { subject: word });
    };
    return (
        <form role="search" onSubmit={submit}>
            <Icon name="search" size={16} />
            <input
                type="search"
                data-search
                aria-label={t('shell.search')}
                placeholder={t('shell.search_hint')}
                value={text}
                onInput={(e) => setText(e.currentTarget.value)}
            />
        </form>
    );
}

export function LanguageMenu() {
    const lang = useLanguage();
    return (
        <select aria-label={t('shell.language')} value={lang} onInput={(e) => chooseLanguage(e.currentTarget.value)}>
            {languages.map((l) => (
                <option value={l} key={l} lang={l}>
                    {matchMedia('(max-width: 40rem)').matches ? l.toUpperCase() : languageName(l)}
                </option>
            ))}
        </select>
    );
}

export function ThemeButton() {
    const [, turn] = useState(0);
    const theme = storedTheme();
    const dark = theme === 'dark' || (theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
    const change = () => {
        chooseTheme(dark ? 'light' : 'dark');
        turn((n) => n + 1);
    };
    const words = t(dark ? 'shell.to_light' : 'shell.to_dark');
    return (
        <button type="button" class="icon" aria-label={words} title={words} onClick={change}>
            <Icon name={dark ? 'sun' : 'moon'} />
        </button>
    );
}

function AccountMenu({ who }: { who: Session }) {
    const [open, setOpen] = useState(false);
    const box = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (!open) return;
        const f = (e: Event) => {
            if (e instanceof KeyboardEvent ? e.key === 'Escape' : !box.current?.contains(e.target as Node)) setOpen(false);
        };
        addEventListener('pointerdown', f);
        addEventListener('keydown', f);
        return () => {
            removeEventListener('pointerdown', f);
            removeEventListener('keydown', f);
        };
    }, [open]);
    const leave = () =>
        attempt(async () => {
            await del('/v1/session');
            setSession(null);
            navigate([], undefined, true);
        });
    return (
        <div class="menu" ref={box} lang={language()}>
            <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
                <Icon name="account" />
                <span class="hide-narrow">{who.name}</span>
                <span class="hidden-text">{t('nav.account')}</span>
            </button>
            {open && (
                <ul>
                    <li class="who">
                        <b>{who.name}</b>
                        <div class="dim small">{t(`role.${who.role}`)}</div>
                    </li>
                    <li>
                        <a href="#/account" onClick={() => setOpen(false)}>
                            {t('nav.account')}
                        </a>
                    </li>
                    <li>
                        <button type="button" onClick={leave}>
                            {t('shell.logout')}
                        </button>
                    </li>
                </ul>
            )}
        </div>
    );
}
