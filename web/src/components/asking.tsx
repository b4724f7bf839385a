// SPDX-License-Identifier: Apache-2.0
// Forms that ask the relay something and show what it says.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Action, Failed } from './basics';

export interface Asking<T> {
    answer?: T;
    error?: unknown;
    ask: (question: () => Promise<T>) => Promise<void>;
    /** What is asked about has changed: no answer to what was asked before is shown. */
    clear: () => void;
}

export function useAsking<T>(): Asking<T> {
    const [state, setState] = useState<{ answer?: T; error?: unknown }>({});
    const turn = useRef(0);
    const clear = () => {
        turn.current++;
        setState({});
    };
    const ask = async (question: () => Promise<T>) => {
        clear();
        const mine = turn.current;
        const told = await question().then((answer) => ({ answer }), (error: unknown) => ({ error }));
        if (mine === turn.current) setState(told);
    };
    return { ...state, ask, clear };
}

/** Fields, the button below them, and what came of it. about: what is in the fields; the answer goes when it changes. */
export function AskForm<T>({ label, button, about, disabled, run, show, children }: {
    label: string;
    button: string;
    about: unknown[];
    disabled: boolean;
    run: () => Promise<T>;
    show: (answer: T) => ComponentChildren;
    children: ComponentChildren;
}) {
    const { answer, error, ask, clear } = useAsking<T>();
    useEffect(clear, about);
    return (
        <div class="stack">
            <section class="panel" aria-label={label}>
                <div class="body stack">
                    {children}
                    <div>
                        <Action class="primary" run={() => ask(run)} disabled={disabled}>
                            {button}
                        </Action>
                    </div>
                </div>
            </section>
            {error !== undefined && <Failed error={error} />}
            <div aria-live="polite">{answer !== undefined && show(answer)}</div>
        </div>
    );
}
