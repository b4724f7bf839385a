/* SPDX-License-Identifier: Apache-2.0
 * The signer process: it has the private keys of DKIM and ARC, and nothing else. One for each generation of workers. */
#ifndef POSTERN_SIGNER_PROCESS_H
#define POSTERN_SIGNER_PROCESS_H
#include "proc/helper.h"

/* Worker → signer: {"id", "op": "sign", "key": number, "digest": base64 of 32 bytes}; answered by {"id", "signature": base64}, or by
 * {"id"} alone when there are too many at once or OpenSSL failed. */
extern const struct helper_kind signer_helper;

#endif
