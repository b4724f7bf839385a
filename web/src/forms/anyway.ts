// SPDX-License-Identifier: Apache-2.0
// Changes that would shut their author out are refused at first: he is asked once, and they are sent again as he means it.
import { ApiError, post } from '../api';
import { t } from '../i18n';

export function shutsOut(e: unknown): boolean {
    return e instanceof ApiError && e.status === 409 && e.body.shut_out === true;
}

export async function postAnyway<T>(path: string, body: Record<string, unknown>): Promise<T> {
    try {
        return await post<T>(path, body);
    } catch (e) {
        if (!shutsOut(e) || !confirm(`${(e as ApiError).message}\n\n${t('form.anyway')}`)) throw e;
        return post<T>(path, { ...body, anyway: true });
    }
}
