/* SPDX-License-Identifier: Apache-2.0
 * The API's description of itself. */
#ifndef POSTERN_ADMIN_OPENAPI_H
#define POSTERN_ADMIN_OPENAPI_H
#include <jansson.h>

json_t *openapi_document(void); /* OpenAPI 3.1; the caller's */

#endif
