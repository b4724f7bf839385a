// SPDX-License-Identifier: Apache-2.0
// The file as it is, with line numbers and what the checker says at its lines. Secrets are shown as *** and stay as they are.
import { useEffect, useRef } from 'preact/hooks';
import { Busy, Failed, Icon, Note, Panel } from '../../components';
import { draft, useDraft } from '../../forms/draft';
import { t } from '../../i18n';
import { parse } from '../../router';
import { may } from '../../session';

export function Raw() {
    useDraft();
    const area = useRef<HTMLTextAreaElement>(null), numbers = useRef<HTMLPreElement>(null);
    const { base, error, text, checked } = draft.state;
    const changes = draft.changes().length;
    useEffect(() => {
        const line = Number(parse(location.hash).query.line);
        if (line > 0 && base) show(line);
    }, [!base]);
    const show = (line: number, column = 1) => {
        const box = area.current;
        if (!box) return;
        const lines = box.value.split('\n');
        const from = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0) + Math.max(0, column - 1);
        box.focus();
        box.setSelectionRange(from, from + Math.max(1, (lines[line - 1] ?? '').length - column + 1));
        box.scrollTop = Math.max(0, (line - 6) * (box.scrollHeight / Math.max(1, lines.length)));
    };
    if (error && !base) return <Failed error={error} retry={() => void draft.load()} />;
    if (!base) return <Busy />;
    const merged = text === null && changes > 0 && checked?.text ? checked.text : null; /* the forms' changes, seen in the file */
    const shown = text ?? merged ?? base.text, count = shown.split('\n').length;
    const found = (text !== null || changes ? checked?.findings : undefined) ?? [];
    const severity = new Map<number, string>();
    for (const f of found) if (f.line && severity.get(f.line) !== 'error') severity.set(f.line, f.severity);
    const locked = !may('configure');
    const key = (e: KeyboardEvent) => { /* two blanks; Esc first leaves the field by Tab as usual */
        const box = e.currentTarget as HTMLTextAreaElement;
        if (e.key === 'Escape') box.dataset.leave = '1';
        else if (e.key !== 'Tab') delete box.dataset.leave;
        if (e.key !== 'Tab' || e.shiftKey || box.dataset.leave || locked) return;
        e.preventDefault();
        box.setRangeText('  ', box.selectionStart, box.selectionEnd, 'end');
        draft.setText(box.value);
    };
    return (
        <Panel title={t('system.raw')} actions={<code class="dim wrap">{base.file}</code>}>
            <p class="help">{t('raw.help')}</p>
            {merged !== null && <Note>{t('raw.merged', { n: changes })}</Note>}
            <div class="raw">
                <pre ref={numbers} aria-hidden="true">{Array.from({ length: count }, (_, i) => <div key={i}><span class={severity.get(i + 1) ?? ''}>{i + 1}</span></div>)}</pre>
                <textarea ref={area} spellcheck={false} autocomplete="off" wrap="off" aria-label={t('system.raw')} aria-describedby="raw-findings" readOnly={locked} value={shown}
                    onScroll={(e) => { if (numbers.current) numbers.current.scrollTop = e.currentTarget.scrollTop; }} onKeyDown={key} onInput={(e) => draft.setText(e.currentTarget.value)} />
            </div>
            <ul class="plain finding-list" id="raw-findings" aria-live="polite">
                {found.map((f, i) => (
                    <li key={i} class={`finding ${f.severity}`}><Icon name="warning" size={15} />
                        <span>{f.line ? <button type="button" class="link" onClick={() => show(f.line!, f.column)}>{t('form.line', { n: f.line })}</button> : null} {f.option && <code>{f.option}</code>} {f.text}{f.hint && <span class="dim">; {f.hint}</span>}</span></li>
                ))}
            </ul>
        </Panel>
    );
}
