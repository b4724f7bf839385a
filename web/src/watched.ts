// SPDX-License-Identifier: Apache-2.0
// What is kept outside of components: whoever uses it is drawn anew when it is told to have changed.
import { useEffect, useState } from 'preact/hooks';

export interface Watched {
    tell: () => void;
    /** f is called at each tell(); gives what ends that. */
    listen: (f: () => void) => () => void;
    /** For components: drawn anew at each tell(). */
    use: () => void;
}

export function watched(): Watched {
    const listeners = new Set<() => void>();
    let told = 0; /* times */
    const listen = (f: () => void) => {
        listeners.add(f);
        return () => void listeners.delete(f);
    };
    return {
        tell: () => {
            told++;
            for (const f of [...listeners]) f();
        },
        listen,
        use: () => {
            const [, see] = useState(told);
            useEffect(() => {
                see(told); /* it may have changed between drawing and listening */
                return listen(() => see(told));
            }, []);
        },
    };
}
