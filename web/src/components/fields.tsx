// SPDX-License-Identifier: Apache-2.0
// Fields of forms: a control with its label, help and error.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

export interface FieldProps {
    label: ComponentChildren;
    help?: ComponentChildren;
    error?: ComponentChildren;
    /** The control; gets what ties it to its label and its help. */
    children: (props: { 'id': string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ComponentChildren;
}

export function Field({ label, help, error, children }: FieldProps) {
    const id = useId();
    const about = [help && `${id}h`, error && `${id}e`].filter(Boolean).join(' ') || undefined;
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {children({ id, 'aria-describedby': about, 'aria-invalid': error ? true : undefined })}
            {help && (
                <div class="help" id={`${id}h`}>
                    {help}
                </div>
            )}
            {error && (
                <div class="error" id={`${id}e`}>
                    {error}
                </div>
            )}
        </div>
    );
}

/** A text field; the commonest. */
export function TextField({
    label,
    help,
    error,
    value,
    onInput,
    ...rest
}: Omit<FieldProps, 'children'> & { value: string; onInput: (v: string) => void; [more: string]: unknown }) {
    return (
        <Field label={label} help={help} error={error}>
            {(p) => (
                <input
                    type="text"
                    autocomplete="off"
                    spellcheck={false}
                    {...rest}
                    {...p}
                    value={value}
                    onInput={(e) => onInput(e.currentTarget.value)}
                />
            )}
        </Field>
    );
}

export function PasswordField(p: { label: string; help?: string; name?: string; autocomplete: 'current-password' | 'new-password'; value: string; onInput: (v: string) => void }) {
    return <TextField type="password" {...p} />;
}

/** null: none is chosen. */
export function FileField({ label, accept, onInput }: { label: string; accept: string; onInput: (file: File | null) => void }) {
    return <Field label={label}>{(p) => <input {...p} type="file" accept={accept} onInput={(e) => onInput(e.currentTarget.files?.[0] ?? null)} />}</Field>;
}

/** What people save a message as. */
export const MESSAGE_FILES = '.eml,message/rfc822,text/plain';

/** A choice of few; words: [value, what is shown]. */
export function SelectField({
    label,
    help,
    error,
    value,
    onInput,
    words,
}: Omit<FieldProps, 'children'> & { value: string; onInput: (v: string) => void; words: [string, string][] }) {
    return (
        <Field label={label} help={help} error={error}>
            {(p) => (
                <select {...p} value={value} onInput={(e) => onInput(e.currentTarget.value)}>
                    {words.map(([v, text]) => (
                        <option value={v} key={v}>
                            {text}
                        </option>
                    ))}
                </select>
            )}
        </Field>
    );
}

export function Check({
    label,
    checked,
    onInput,
}: {
    label: ComponentChildren;
    checked: boolean;
    onInput: (v: boolean) => void;
}) {
    return (
        <label class="check">
            <input type="checkbox" checked={checked} onInput={(e) => onInput(e.currentTarget.checked)} />
            <span>{label}</span>
        </label>
    );
}
