/* SPDX-License-Identifier: Apache-2.0
 * The names of SASL mechanisms, and which of them clients are offered: those that a configuration's back end can do. */
#ifndef POSTERN_AUTH_METHODS_H
#define POSTERN_AUTH_METHODS_H
#include "config/config.h"

/* enum config_sasl bits offered on a connection with or without channel binding; 0: AUTH is not offered. */
uint32_t auth_methods(const struct config *c, bool binding);
uint32_t auth_method_of(struct slice name); /* any case; 0: none that we know */
const char *auth_method_name(uint32_t bit); /* of one bit */
void auth_methods_list(struct buf *out, uint32_t methods); /* names with a blank before each, strongest first */

#endif
