// SPDX-License-Identifier: Apache-2.0
// One message that is kept apart: why, and what is in it, with nothing active. All of it is shown as text; links are no links.
import { useState } from 'preact/hooks';
import { segment, useGet } from '../api';
import { Busy, CopyButton, Empty, Facts, Failed, Icon, Note, Outcome, PageHead, Panel, Size, Tabs, Time, ask } from '../components';
import { download } from '../format';
import { number, t, tWord } from '../i18n';
import { href } from '../router';
import { may } from '../session';
import { Address, SenderButtons, askOne } from './mail';
import { KindBadge, ReleaseText, allowAll, base, heard, noWish, onlyOwn } from './quarantine';
import { Headers, Inside, Why } from './quarantine_inside';
import type { Details } from './quarantine_inside';

export function QuarantineView({ id, back }: { id: string; back: () => void }) {
    const got = useGet<{ message: Details }>(`${base()}/${segment(id)}`);
    const [tab, setTab] = useState('why');
    const m = got.data?.message;
    if (got.error?.status === 404)
        return (
            <>
                <PageHead title={<span class="mono">{id}</span>} />
                <Empty>
                    {t('quarantine.gone')} <a href={href(['quarantine'])}>{t('quarantine.back')}</a>
                </Empty>
            </>
        );
    if (got.error) return <Failed error={got.error} retry={got.reload} />;
    if (!m) return <Busy />;
    const look = may('content') && !onlyOwn();
    const tabs: [string, string][] = [
        ['why', t('quarantine.why')],
        ...(look
            ? ([
                  ['text', t('quarantine.text')],
                  ['parts', t('quarantine.parts')],
              ] as [string, string][])
            : []),
        ...(m.headers?.length ? ([['headers', t('quarantine.headers')]] as [string, string][]) : []),
    ];
    return (
        <>
            <PageHead
                title={
                    <>
                        {m.subject || <span class="dim">{t('tracking.no_subject')}</span>} <KindBadge m={m} />
                    </>
                }
                help={
                    <>
                        <span class="mono">{m.id}</span> <CopyButton text={m.id} />
                    </>
                }
            >
                <Buttons m={m} changed={got.reload} back={back} />
            </PageHead>
            {m.error && <Note tone="warn">{m.error}</Note>}
            <div class="stack">
                <Panel label={t('queue.message')}>
                    <Facts
                        of={[
                            [t('queue.reason'), m.reason],
                            [t('quarantine.score'), m.score ? number(m.score, 2) : ''],
                            [t('queue.sender'), <Address of={m.sender} />],
                            [
                                t('queue.recipients'),
                                <>
                                    {m.recipients?.map((r) => (
                                        <div key={r.address}>
                                            {r.address} {r.state !== 'held' && <Outcome word={r.state} />}
                                        </div>
                                    ))}
                                </>,
                            ],
                            [t('queue.arrival'), <Time ms={m.arrival} full />],
                            [t('quarantine.expires'), m.expires ? <Time ms={m.expires} full /> : t('quarantine.never')],
                            [t('tracking.client'), m.client && `${m.client}${m.helo ? ` (${m.helo})` : ''}`],
                            [t('quarantine.account'), m.account],
                            [t('queue.zone'), m.zone],
                            ['Message-ID', m.message_id],
                            [t('queue.size'), <Size bytes={m.size} />],
                            [t('quarantine.learnt'), m.learnt && m.learnt !== 'none' ? tWord('learnt', m.learnt) : ''],
                        ]}
                    />
                </Panel>
                {(!onlyOwn() || m.headers?.length || m.findings || m.trace) && (
                    <div>
                        <Tabs label={t('queue.message')} at={tab} onSelect={setTab} tabs={tabs} />
                        {tab === 'why' && <Why m={m} />}
                        {tab === 'headers' && (
                            <Panel label={t('quarantine.headers')}>
                                <Headers of={m.headers!} />
                            </Panel>
                        )}
                        {(tab === 'text' || tab === 'parts') && <Inside id={id} what={tab} />}
                    </div>
                )}
            </div>
        </>
    );
}

function Buttons({ m, changed, back }: { m: Details; changed: () => void; back: () => void }) {
    const own = onlyOwn();
    const can = own || may('change'),
        path = `${base()}/`;
    const release = () => {
        const want = noWish();
        askOne({
            id: m.id,
            action: t('quarantine.release'),
            text: own ? t('quarantine.own_release_help') : <ReleaseText want={want} />,
            path: `${path}release`,
            body: () => (want.remove ? { delete: true } : {}),
            each: heard(want),
            done: async () => {
                if (want.allow && m.sender) await allowAll([m.sender], want);
                if (want.remove) back();
                else changed();
            },
        });
    };
    const remove = () =>
        askOne({ id: m.id, action: t('queue.delete'), text: t('quarantine.delete_help'), danger: true, path: `${path}delete`, done: back });
    const train = (as: 'spam' | 'ham' | 'forget') =>
        askOne({
            id: m.id,
            action: t(`quarantine.train_${as}`),
            text: t('quarantine.train_help'),
            path: '/v1/quarantine/train',
            body: () => ({ as }),
            done: changed,
        });
    return (
        <>
            {!own && (
                <a class="button" href={href(['tracking', m.id])}>
                    {t('queue.story')}
                </a>
            )}
            {can && m.state === 'held' && m.releasable !== false && (
                <button type="button" class="primary" onClick={release}>
                    {t('quarantine.release')}
                </button>
            )}
            {!own && can && (
                <>
                    <button type="button" onClick={() => train('spam')}>
                        {t('quarantine.train_spam')}
                    </button>
                    <button type="button" onClick={() => train('ham')}>
                        {t('quarantine.train_ham')}
                    </button>
                    {m.learnt && m.learnt !== 'none' && (
                        <button type="button" onClick={() => train('forget')}>
                            {t('quarantine.train_forget')}
                        </button>
                    )}
                </>
            )}
            {!own && <SenderButtons sender={m.sender} message={m.id} />}
            {!own && may('content') && <Download id={m.id} kind={m.kind} />}
            {can && (
                <button type="button" class="danger" onClick={remove}>
                    {t('queue.delete')}
                </button>
            )}
        </>
    );
}

/** As it came, whatever is in it: a virus is named before. */
function Download({ id, kind }: { id: string; kind: string }) {
    const start = () => download(`${id}.eml`, `v1/quarantine/${segment(id)}/raw`);
    return (
        <button
            type="button"
            title={t('quarantine.download_help')}
            onClick={() =>
                kind === 'virus'
                    ? ask({
                          title: t('quarantine.download'),
                          text: t('quarantine.download_virus'),
                          button: t('quarantine.download'),
                          danger: true,
                          run: async () => start(),
                      })
                    : start()
            }
        >
            <Icon name="download" />
            {t('quarantine.download')}
        </button>
    );
}
