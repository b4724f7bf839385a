// SPDX-License-Identifier: Apache-2.0
// Who may send what: checks of strangers, relaying, zones, limits.
import { OptionsPage } from '../forms/page';
import { Catalogue } from '../forms/catalogue';
import { NftPanel } from '../forms/nft';
import { t } from '../i18n';
import type { PageProps } from '../pages';

export default function Policy(props: PageProps) {
    return (
        <OptionsPage {...props} id="policy" title="nav.policy" help="policy.help" tabs={[
            { id: 'checks', title: t('policy.checks') },
            { id: 'lists', title: t('policy.lists') },
            { id: 'greylist', title: t('policy.greylist') },
            { id: 'dnslists', title: t('policy.dnslists'), top: () => <Catalogue /> },
            { id: 'sender', title: t('policy.sender') },
            { id: 'relaying', title: t('policy.relaying') },
            { id: 'zones', title: t('policy.zones'), top: () => <NftPanel /> },
            { id: 'limits', title: t('policy.limits') },
        ]} />
    );
}
