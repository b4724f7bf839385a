/* SPDX-License-Identifier: Apache-2.0
 * Where config/list.h was. */
#ifndef POSTERN_POLICY_LIST_H
#define POSTERN_POLICY_LIST_H
#include "config/list.h"

#endif
