/* SPDX-License-Identifier: Apache-2.0
 * Of this folder only: the keys' kinds, and the options that go with them. */
#ifndef POSTERN_SIGNER_KEYS_H
#define POSTERN_SIGNER_KEYS_H
#include "signer/signer.h"

struct signer_keys {
    const struct config *config;
    struct slice *headers, *oversign; /* of config->dkim */
    char **records;                   /* by number: to be published; NULL: a key not in use that cannot be read */
    enum dkim_key_type types[];       /* by number; of those in use */
};

/* For a key in use; in the arena. */
struct dkim_sign_options *signer_options(const struct signer_keys *k, size_t number, uint64_t now_ms, struct arena *arena);

#endif
