// SPDX-License-Identifier: Apache-2.0
// Where there is no relay domain yet, the set-up guide is offered, until it is waved away.
import { useState } from 'preact/hooks';
import { useGet } from '../api';
import { t } from '../i18n';
import { may } from '../session';
import { Note } from './basics';
import { Icon } from './icons';

const KEY = 'guide-offer';

export function GuideOffer() {
    const [away, setAway] = useState(localStorage.getItem(KEY) === 'away');
    const wanted = !away && may('configure');
    const { data } = useGet<{ values?: { domains?: unknown[] } }>(wanted ? '/v1/config' : null);
    if (!wanted || !data?.values || data.values.domains?.length) return null;
    const leave = () => {
        localStorage.setItem(KEY, 'away');
        setAway(true);
    };
    return (
        <Note><div class="row"><span class="grow">{t('guide.offer')} <a href="#/guide">{t('nav.guide')}</a></span>
            <button type="button" class="icon" aria-label={t('common.close')} onClick={leave}><Icon name="close" /></button></div></Note>
    );
}
