// SPDX-License-Identifier: Apache-2.0
// The relay itself: its options, processes and file, who administers it and who did what.
import { OptionsPage } from '../forms/page';
import { t } from '../i18n';
import type { PageProps } from '../pages';
import { may } from '../session';
import { Accounts } from './system/accounts';
import { Audit } from './system/audit';
import { Backup } from './system/backup';
import { Import } from './system/import';
import { Raw } from './system/raw';
import { Revisions } from './system/revisions';
import { Status } from './system/status';
import { Users } from './system/users';
import { Webhooks } from './system/webhooks';

export default function System(props: PageProps) {
    const config = may('config');
    return (
        <OptionsPage {...props} id="system" title="nav.system" help="system.help" tabs={[
            { id: 'status', title: t('system.status'), top: () => <Status />, hidden: !may('status') },
            { id: 'general', title: t('system.general'), hidden: !config },
            { id: 'auth', title: t('system.auth'), hidden: !config },
            { id: 'delivery', title: t('system.delivery'), hidden: !config },
            { id: 'processes', title: t('system.processes'), hidden: !config },
            { id: 'web', title: t('system.web'), top: () => may('configure') && <Webhooks />, hidden: !config },
            { id: 'others', title: t('system.others'), hidden: !config },
            { id: 'users', title: t('system.users'), top: () => <Users />, hidden: !may('accounts') },
            { id: 'accounts', title: t('system.accounts'), top: () => <Accounts />, hidden: !may('accounts') },
            { id: 'audit', title: t('system.audit'), top: () => <Audit />, hidden: !may('audit') },
            { id: 'backup', title: t('system.backup'), top: () => <Backup />, hidden: !may('accounts') },
            { id: 'import', title: t('system.import'), top: () => <Import />, hidden: !may('configure') },
            { id: 'raw', title: t('system.raw'), top: () => <Raw />, hidden: !config },
            { id: 'revisions', title: t('system.revisions'), top: () => <Revisions />, hidden: !config },
        ]} />
    );
}
