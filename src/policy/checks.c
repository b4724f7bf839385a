/* SPDX-License-Identifier: Apache-2.0
 * The pipeline: every check, in the order of the filtering scheme. To add one, write its file, its options in
 * config/schema_checks.c, its page in the manual, and its row here. */
#include "policy/checks.h"

const struct check *const checks[] = {
    /* connect: the client's address */
    &check_client_list, &check_intercepted, &check_relaying_client, &check_open_relay, &check_client_limits, &check_greeting_pause, /* step 0 */
    &check_reverse_name,
    &check_client_names, &check_relaying_name, &check_open_relay_names, &check_reverse_dns,                     /* 1: its name */
    &check_dns_lists_client, &check_reputation,                                                                 /* 2 */
    /* helo */
    &check_helo,
    &check_dns_lists_helo,
    /* mail: the sender */
    &check_spf, &check_sender_list, &check_sender,
    &check_dns_lists_sender,
    /* rcpt: the right to relay, then the recipient, then greylisting */
    &check_relay,
    &check_rewritten, &check_strangers, &check_training_address, &check_recipient_list, &check_recipient_limit, &check_recipient,
    &check_recipient_exists,
    &check_greylist,
    /* data */
    &check_outbound,
    /* content: the text */
    &check_dkim, &check_arc,
    &check_dmarc,
    &check_content_scan,                                                                                        /* 2: looked into */
    &check_content_virus, &check_content_attachments, &check_content_rules, &check_content_spam,                /* 3: what was found */
    &check_content_training,
    NULL,
};
