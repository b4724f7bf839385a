// SPDX-License-Identifier: Apache-2.0
// Dialogs (the browser's own: focus stays within, Esc closes), questions, and messages at the edge.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { Action, Note, errorText, useMounted } from './basics';
import { Icon } from './icons';

export function Dialog({
    title,
    children,
    footer,
    onClose,
    wide,
}: {
    title: ComponentChildren;
    children: ComponentChildren;
    footer?: ComponentChildren;
    onClose: () => void;
    wide?: boolean;
}) {
    const ref = useRef<HTMLDialogElement>(null),
        id = useId();
    useEffect(() => {
        const before = document.activeElement as HTMLElement | null,
            box = ref.current!;
        box.showModal();
        return () => {
            box.close(); /* as long as it is open, nothing else takes the focus */
            before?.focus?.();
        };
    }, []);
    return (
        <dialog
            ref={ref}
            class={wide ? 'wide' : ''}
            aria-labelledby={id}
            onCancel={(e) => {
                e.preventDefault();
                onClose();
            }}
        >
            <header>
                <h2 id={id}>{title}</h2>
            </header>
            <div class="body">{children}</div>
            <footer>
                {footer ?? (
                    <button type="button" onClick={onClose}>
                        {t('common.close')}
                    </button>
                )}
            </footer>
        </dialog>
    );
}

interface Question {
    title: string;
    text?: ComponentChildren;
    /** What the button says; it does `run`, and the dialog closes when that went well. */
    button: string;
    danger?: boolean;
    run: () => Promise<unknown>;
}

let showQuestion: (q: Question) => void = () => undefined;
let showToast: (text: string, bad: boolean) => void = () => undefined;

/** Asks before something is done. */
export const ask = (q: Question) => showQuestion(q);
export const toast = (text: string) => showToast(text, false);
export const toastError = (e: unknown) => showToast(errorText(e), true);

/** Does it, and says so when it fails. */
export async function attempt(run: () => Promise<unknown>): Promise<void> {
    try {
        await run();
    } catch (e) {
        toastError(e);
    }
}

/** A question, or a form: Cancel, and a button that does `run`. The dialog closes when that went well, and says it when not. */
export function FormDialog({
    title,
    button,
    danger,
    disabled,
    run,
    close,
    said = errorText,
    children,
}: Omit<Question, 'text'> & { disabled?: boolean; close: () => void; said?: (e: unknown) => string; children?: ComponentChildren }) {
    const [error, setError] = useState('');
    const mounted = useMounted(); /* else it was cancelled meanwhile, and the dialog that is open may be another */
    const start = async () => {
        setError('');
        try {
            await run();
            if (mounted.current) close();
        } catch (e) {
            if (mounted.current) setError(said(e));
            else showToast(said(e), true);
        }
    };
    return (
        <Dialog
            title={title}
            onClose={close}
            footer={
                <>
                    <button type="button" onClick={close}>
                        {t('common.cancel')}
                    </button>
                    <Action class={`primary ${danger ? 'danger' : ''}`} run={start} disabled={disabled}>
                        {button}
                    </Action>
                </>
            }
        >
            <div class="stack">
                {children && <div class="wrap">{children}</div>}
                {error && <Note tone="bad">{error}</Note>}
            </div>
        </Dialog>
    );
}

/** Once in the page: where questions and messages appear. */
export function Overlays() {
    const [question, setQuestion] = useState<Question | null>(null);
    const [toasts, setToasts] = useState<{ id: number; text: string; bad: boolean }[]>([]);
    const box = useRef<HTMLDivElement>(null),
        last = useRef(0);
    const remove = (id: number) => setToasts((all) => all.filter((x) => x.id !== id));
    useEffect(() => {
        showQuestion = setQuestion;
        showToast = (text, bad) => {
            const id = ++last.current;
            setToasts((all) => [...all.slice(-3), { id, text, bad }]);
            setTimeout(() => remove(id), bad ? 15000 : 6000);
        };
    }, []);
    useEffect(() => {
        /* above an open dialog, too */
        const el = box.current as (HTMLDivElement & { showPopover?: () => void; hidePopover?: () => void }) | null;
        if (!el?.showPopover) return;
        if (el.matches(':popover-open')) el.hidePopover?.();
        if (toasts.length) el.showPopover();
    }, [toasts]);
    return (
        <>
            {question && (
                <FormDialog {...question} close={() => setQuestion(null)}>
                    {question.text}
                </FormDialog>
            )}
            <div class="toasts" ref={box} {...{ popover: 'manual' }} role="status" aria-live="polite">
                {toasts.map((x) => (
                    <div class={`toast ${x.bad ? 'bad' : ''}`} key={x.id}>
                        <span class="grow">{x.text}</span>
                        <button type="button" class="icon" aria-label={t('common.close')} onClick={() => remove(x.id)}>
                            <Icon name="close" />
                        </button>
                    </div>
                ))}
            </div>
        </>
    );
}
