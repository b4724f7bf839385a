// SPDX-License-Identifier: Apache-2.0
// Tokens for programs.
import { useState } from 'preact/hooks';
import { del, post, segment, useGet } from '../api';
import {
    Ago,
    Badge,
    Check,
    CopyButton,
    Dialog,
    Empty,
    Field,
    FormDialog,
    Panel,
    Table,
    TextField,
    Time,
    ask,
} from '../components';
import { t } from '../i18n';
import { session } from '../session';

interface Token {
    id: string;
    name: string;
    scopes: string[];
    created?: number;
    expires?: number;
}

export function Tokens() {
    const tokens = useGet<{ tokens: Token[] }>('/v1/account/tokens');
    const [making, setMaking] = useState(false),
        [made, setMade] = useState<string | null>(null);
    const remove = (x: Token) =>
        ask({
            title: t('account.token_remove', { name: x.name }),
            text: t('account.token_remove_help'),
            button: t('common.remove'),
            danger: true,
            run: async () => {
                await del(`/v1/account/tokens/${segment(x.id)}`);
                tokens.reload();
            },
        });
    return (
        <Panel
            title={t('account.tokens')}
            flush
            actions={
                <button type="button" onClick={() => setMaking(true)}>
                    {t('account.token_make')}
                </button>
            }
        >
            <Table
                label={t('account.tokens')}
                rows={tokens.data?.tokens}
                error={tokens.error}
                retry={tokens.reload}
                keyOf={(x) => x.id}
                empty={<Empty>{t('account.no_tokens')}</Empty>}
                columns={[
                    { id: 'name', title: t('account.token_name'), cell: (x) => x.name },
                    {
                        id: 'scopes',
                        title: t('account.token_scopes'),
                        cell: (x) => (
                            <span class="row">
                                {x.scopes.map((s) => (
                                    <Badge key={s}>{s}</Badge>
                                ))}
                            </span>
                        ),
                    },
                    { id: 'created', title: t('account.since'), cell: (x) => <Time ms={x.created} />, wideOnly: true },
                    {
                        id: 'expires',
                        title: t('account.token_expires'),
                        cell: (x) => (x.expires ? <Ago ms={x.expires} /> : t('account.token_never')),
                        wideOnly: true,
                    },
                    {
                        id: 'remove',
                        title: '',
                        tight: true,
                        cell: (x) => (
                            <button type="button" class="danger" onClick={() => remove(x)}>
                                {t('common.remove')}
                            </button>
                        ),
                    },
                ]}
            />
            {making && (
                <MakeToken
                    close={() => setMaking(false)}
                    done={(token) => {
                        setMaking(false);
                        setMade(token);
                        tokens.reload();
                    }}
                />
            )}
            {made && (
                <Dialog title={t('account.token_made')} onClose={() => setMade(null)}>
                    <p>{t('account.token_once')}</p>
                    <div class="row">
                        <code class="wrap grow">{made}</code>
                        <CopyButton text={made} label={t('common.copy')} />
                    </div>
                </Dialog>
            )}
        </Panel>
    );
}

function MakeToken({ close, done }: { close: () => void; done: (token: string) => void }) {
    const [name, setName] = useState(''),
        [days, setDays] = useState('90'),
        [scopes, setScopes] = useState<string[]>(['status']);
    const make = async () => {
        const body = { name: name.trim(), scopes, ...(days ? { days: Number(days) } : {}) }; /* else a year */
        done((await post<{ token: string }>('/v1/account/tokens', body)).token);
    };
    const toggle = (s: string, on: boolean) => setScopes((all) => (on ? [...all, s] : all.filter((x) => x !== s)));
    return (
        <FormDialog
            title={t('account.token_make')}
            button={t('account.token_make')}
            disabled={!name.trim() || !scopes.length}
            run={make}
            close={close}
        >
            <div class="stack">
                <TextField label={t('account.token_name')} help={t('account.token_name_help')} value={name} onInput={setName} />
                <Field label={t('account.token_days')} help={t('account.token_days_help')}>
                    {(p) => <input {...p} type="number" min="1" max="3650" value={days} onInput={(e) => setDays(e.currentTarget.value)} />}
                </Field>
                <fieldset>
                    <legend>{t('account.token_scopes')}</legend>
                    <div class="grid narrow">
                        {session()?.rights.map((r) => (
                            <Check
                                key={r}
                                label={
                                    <>
                                        <code>{r}</code> <span class="dim">{t(`right.${r}`)}</span>
                                    </>
                                }
                                checked={scopes.includes(r)}
                                onInput={(on) => toggle(r, on)}
                            />
                        ))}
                    </div>
                </fieldset>
            </div>
        </FormDialog>
    );
}
