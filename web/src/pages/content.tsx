// SPDX-License-Identifier: Apache-2.0
// What is looked for in messages, and what is done about it.
import { NoticesPanel } from '../forms/notices';
import { OptionsPage } from '../forms/page';
import { t } from '../i18n';
import type { PageProps } from '../pages';

export default function Content(props: PageProps) {
    return (
        <OptionsPage {...props} id="content" title="nav.content" help="content.help" tabs={[
            { id: 'scanners', title: t('content.scanners') },
            { id: 'attachments', title: t('content.attachments') },
            { id: 'virus', title: t('content.virus') },
            { id: 'spam', title: t('content.spam') },
            { id: 'headers', title: t('content.headers') },
            { id: 'rules', title: t('content.rules') },
            { id: 'quarantine', title: t('content.quarantine') },
            { id: 'notices', title: t('content.notices'), top: () => <NoticesPanel /> },
        ]} />
    );
}
