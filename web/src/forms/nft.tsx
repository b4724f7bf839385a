// SPDX-License-Identifier: Apache-2.0
// The kernel's rules for transparent zones, where there are such zones: to be read and copied. Root puts them in force.
import { useGet } from '../api';
import { Busy, CopyButton, CopyLine, Failed, Note, Panel } from '../components';
import { t } from '../i18n';
import { useDraft } from './draft';
import { isMap } from './tree';

const INSTALL = 'postern nft install';

export function NftPanel() {
    const { state } = useDraft();
    const values = state.base?.values, zones = isMap(values) ? values.zones : undefined;
    const all = Array.isArray(zones) ? zones : isMap(zones) ? Object.values(zones) : [];
    return all.some((z) => isMap(z) && z.mode === 'transparent') ? <Rules key={state.base!.version} /> : null;
}

function Rules() {
    const got = useGet<{ text: string; notes: string[] }>('/v1/nft');
    return (
        <Panel title={t('nft.title')} actions={got.data && <CopyButton text={got.data.text} label={t('nft.copy')} />}>
            <p class="help">{t('nft.help')}</p>
            <CopyLine text={INSTALL} />
            {got.error && <Failed error={got.error} retry={got.reload} />}
            {got.busy && !got.data && <Busy />}
            {got.data?.notes.map((n) => <Note tone="warn" key={n}>{n}</Note>)}
            {got.data && <details><summary>{t('nft.show')}</summary><pre class="message-text" tabIndex={0} aria-label={t('nft.title')}>{got.data.text}</pre></details>}
        </Panel>
    );
}
