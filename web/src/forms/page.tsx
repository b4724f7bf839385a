// SPDX-License-Identifier: Apache-2.0
// A page of options: tabs, the panels of the tab at hand, what is pending at the bottom.
import type { ComponentChildren } from 'preact';
import { Busy, Failed, Note, PageHead, Panel, Tabs } from '../components';
import { t } from '../i18n';
import type { Key } from '../i18n';
import type { PageProps } from '../pages';
import { may } from '../session';
import { PendingBar } from './bar';
import { findingsBelow, useDraft } from './draft';
import { Field } from './field';
import { Options } from './group';
import { helpOf, labelOf, useLabels } from './labels';
import { elsewhere, places, unplaced } from './pages';
import { optionAt } from './schema';
import type { Option } from './schema';
import './forms.css';

/** A top-level option, or a part of one, as a panel. */
function OptionPanel({ option, path }: { option: Option; path: string }) {
    const help = helpOf(option, path);
    const others = elsewhere(path).map((p) => p.slice(path.length + 1));
    const own: Option = { ...option, options: option.options?.filter((o) => !others.includes(o.name)) };
    if (option.kind !== 'group') return <Panel label={labelOf(option, path)}><Field option={option} path={path} /></Panel>;
    return <Panel title={labelOf(option, path)} actions={<code class="dim">{path}</code>}>{help && <p class="help">{help}</p>}<Options option={own} path={path} /></Panel>;
}

/** Neighbours that are plain stand in one panel. */
function Panels({ paths, root }: { paths: string[]; root: Option }) {
    const groups: [string, Option][][] = [];
    for (const path of paths) {
        const option = optionAt(root, path);
        if (!option) continue;
        const plain = (o: Option) => o.kind !== 'group' && o.kind !== 'records' && o.kind !== 'map';
        const last = groups[groups.length - 1];
        if (last && plain(option) && plain(last[0]![1])) last.push([path, option]);
        else groups.push([[path, option]]);
    }
    return (
        <>
            {groups.map((g) => g.length === 1 ? <OptionPanel key={g[0]![0]} path={g[0]![0]} option={g[0]![1]} />
                : <Panel key={g[0]![0]}>{g.map(([path, option]) => <Field key={path} option={option} path={path} />)}</Panel>)}
        </>
    );
}

interface TabDef {
    id: string;
    title: ComponentChildren;
    /** Before or instead of its options. */
    top?: () => ComponentChildren;
    hidden?: boolean;
}

interface Args extends PageProps {
    id: string;
    title: Key;
    help?: Key;
    tabs: TabDef[];
    actions?: ComponentChildren;
}

function mark(paths: string[]): ComponentChildren {
    const found = paths.flatMap((p) => {
        const others = elsewhere(p).flatMap((o) => findingsBelow(o)); /* are marked where they are shown */
        return findingsBelow(p).filter((f) => !others.includes(f));
    });
    const bad = found.some((f) => f.severity === 'error');
    return bad ? <span class="badge bad">!</span> : null;
}

export function OptionsPage({ id, title, help, tabs, actions, rest, query, go }: Args) {
    const draft = useDraft();
    useLabels();
    const { schema, base, error, text } = draft.state;
    const shown = tabs.filter((x) => !x.hidden);
    const at = rest[0] ? shown.find((x) => x.id === rest[0]) : shown[0];
    const pathsOf = (tab: string): string[] => {
        const paths = places[id]?.[tab] ?? [];
        return tab === 'others' && schema ? [...paths, ...unplaced(schema.options!.map((o) => o.name))] : paths;
    };
    const paths = at ? pathsOf(at.id) : [], needed = may('config') && paths.length > 0;
    return (
        <div class="options-page">
            <PageHead title={t(title)} help={help && t(help)}>{actions}</PageHead>
            {shown.length > 1 && (
                <Tabs label={t(title)} at={at?.id ?? ''} onSelect={(x) => go([x])}
                    tabs={shown.map((x) => [x.id, <>{x.title} {schema && base ? mark(pathsOf(x.id)) : null}</>])} />
            )}
            <div class="stack" key={`${at?.id} ${query.option ?? ""}`}>
                {at ? at.top?.() : <Note tone="warn">{t(tabs.some((x) => x.id === rest[0]) ? 'error.not_for_you' : 'error.no_page')}</Note>}
                {needed && error && !base && <Failed error={error} retry={() => void draft.load()} />}
                {needed && !error && !base && <Busy />}
                {needed && base && text !== null && <Note tone="warn">{t('form.raw_first')} <a href="#/system/raw">{t('system.raw')}</a></Note>}
                {needed && base && schema && <Panels paths={paths} root={schema} />}
            </div>
            {may('config') && <PendingBar />}
        </div>
    );
}
