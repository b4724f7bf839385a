// SPDX-License-Identifier: Apache-2.0
// Who is logged in, and what he may do. undefined: not known yet; null: nobody.
import { watched } from './watched';

export type Right =
    | 'self'
    | 'status'
    | 'mail'
    | 'content'
    | 'change'
    | 'senders'
    | 'config'
    | 'configure'
    | 'accounts'
    | 'audit'
    | 'metrics'
    | 'own';

export interface Session {
    name: string;
    role: 'administrator' | 'operator' | 'auditor' | 'user';
    rights: Right[];
    csrf: string;
    language: string;
    theme: string;
    addresses: string[];
    version: string;
    hostname: string;
}

let current: Session | null | undefined;
let setup = false;
let ended = false;
const changed = watched();

export const session = () => current;
/** No account exists yet. */
export const setupNeeded = () => setup;
export const may = (right: Right) => !!current?.rights.includes(right);

/** There was a session, and the relay no longer knows it. */
export const sessionEnded = () => ended;

export function setSession(to: Session | null, over = false): void {
    ended = to === null && over;
    current = to;
    if (to) setup = false;
    changed.tell();
}

export function setSetupNeeded(to: boolean): void {
    setup = to;
}

/** f is called when somebody logs in or out, or is told anew what he may do. */
export const onSession = changed.listen;

export function useSession(): Session | null | undefined {
    changed.use();
    return current;
}
