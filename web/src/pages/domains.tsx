// SPDX-License-Identifier: Apache-2.0
// For whom mail is taken, and which way it goes.
import { draft, useDraft } from '../forms/draft';
import { OptionsPage } from '../forms/page';
import { t } from '../i18n';
import type { PageProps } from '../pages';

export default function Domains(props: PageProps) {
    useDraft();
    const none = draft.state.base && !draft.value('domains');
    return (
        <OptionsPage {...props} id="domains" title="nav.domains" help="domains.help" actions={<a class={`button ${none ? 'primary' : ''}`} href="#/guide">{t('nav.guide')}</a>} tabs={[
            { id: 'domains', title: t('domains.domains') },
            { id: 'routes', title: t('domains.routes') },
            { id: 'aliases', title: t('domains.aliases') },
            { id: 'copies', title: t('domains.copies') },
            { id: 'tables', title: t('domains.tables') },
            { id: 'tls', title: t('domains.tls') },
        ]} />
    );
}
