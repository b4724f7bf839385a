// SPDX-License-Identifier: Apache-2.0
// A backup as a download, and how one is restored: by commands, as the relay must not run then.
import { useState } from 'preact/hooks';
import { post } from '../../api';
import type { Download } from '../../api';
import { Action, Check, CopyLine, Failed, Icon, Note, Panel, useAsking } from '../../components';
import { useDraft } from '../../forms/draft';
import { save, size } from '../../format';
import { t } from '../../i18n';
import type { Key } from '../../i18n';

function Command({ text, help }: { text: string; help: Key }) {
    return (
        <li>
            {t(help)}
            <CopyLine text={text} />
        </li>
    );
}

/** " -c FILE", where the configuration is not where commands look for it. */
function fileOption(file?: string): string {
    if (!file || file === '/etc/postern/postern.yaml') return '';
    return ` -c ${/^[\w./+-]+$/.test(file) ? file : `'${file.replace(/'/g, "'\\''")}'`}`;
}

export function Backup() {
    const option = fileOption(useDraft().state.base?.file);
    const [quarantine, setQuarantine] = useState(true);
    const { answer: made, error, ask } = useAsking<{ name: string; bytes: number }>();
    const make = () => ask(async () => {
        const { name, blob } = await post<Download>('/v1/backup', quarantine ? {} : { quarantine: false }, { file: true });
        save(name, blob);
        return { name, bytes: blob.size };
    });
    const name = made?.name ?? 'postern.backup';
    return (
        <>
            <Panel title={t('system.backup')}>
                <div class="stack">
                    <p class="help">{t('backup.what')}</p>
                    <Note tone="warn">{t('backup.secrets')}</Note>
                    <Check label={t('backup.quarantine')} checked={quarantine} onInput={setQuarantine} />
                    <div class="row"><Action class="primary" run={make}><Icon name="download" /> {t('backup.make')}</Action></div>
                    <p class="help">{t('backup.while')}</p>
                    <div aria-live="polite">{made && <Note tone="ok">{t('backup.made', { x: made.name, n: size(made.bytes) })}</Note>}</div>
                    {error !== undefined && <Failed error={error} />}
                </div>
            </Panel>
            <Panel title={t('backup.move')}>
                <div class="stack">
                    <p class="help">{t('backup.queue')}</p>
                    <ul class="plain stack">
                        <Command help="backup.on_machine" text={`postern backup /var/backups/postern.backup${option}`} />
                        <Command help="backup.with_queue" text={`systemctl stop postern && postern backup /var/backups/postern.backup --with-queue${option}`} />
                    </ul>
                </div>
            </Panel>
            <Panel title={t('backup.restore')}>
                <p class="help">{t('backup.restore_help')}</p>
                <ol class="stack">
                    <Command help="backup.list" text={`postern restore ${name} --list`} />
                    <Command help="backup.place" text={`systemctl stop postern && postern restore ${name}`} />
                    <Command help="backup.start" text="systemctl start postern" />
                </ol>
            </Panel>
        </>
    );
}
