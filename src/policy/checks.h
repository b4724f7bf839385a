/* SPDX-License-Identifier: Apache-2.0
 * The rows of the table in checks.c, each defined in the file of its subject. */
#ifndef POSTERN_POLICY_CHECKS_H
#define POSTERN_POLICY_CHECKS_H
#include "policy/check.h"

extern const struct check check_client_list, check_client_names, check_sender_list, check_recipient_list, /* check_lists.c */
    check_relaying_client, check_relaying_name, check_relay,                         /* check_relay.c */
    check_reverse_name, check_reverse_dns,                                           /* check_reverse.c */
    check_helo,                                                                      /* check_helo.c */
    check_sender, check_recipient,                                                   /* check_domain.c */
    check_dns_lists_client, check_dns_lists_helo, check_dns_lists_sender,            /* check_dns_lists.c */
    check_intercepted,                                                               /* check_intercepted.c */
    check_greeting_pause,                                                            /* check_pause.c */
    check_client_limits, check_recipient_limit,                                      /* check_limits.c */
    check_reputation,                                                                /* check_reputation.c */
    check_greylist,                                                                  /* check_greylist.c */
    check_rewritten,                                                                 /* check_rewriting.c */
    check_recipient_exists,                                                          /* check_exists.c */
    check_open_relay, check_open_relay_names, check_strangers, check_outbound,       /* check_guards.c */
    check_spf, check_dkim, check_arc, check_dmarc,                                   /* the files of these names */
    check_content_scan, check_content_virus, check_content_attachments,              /* check_scan.c, check_virus.c ... */
    check_content_rules, check_content_spam,
    check_training_address, check_content_training;                                  /* check_training.c */

#endif
