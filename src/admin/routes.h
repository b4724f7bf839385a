/* SPDX-License-Identifier: Apache-2.0
 * What the API offers: tables of routes, each beside what serves it. From them come the checks of arguments and bodies, who may do what, and
 * the OpenAPI document. */
#ifndef POSTERN_ADMIN_ROUTES_H
#define POSTERN_ADMIN_ROUTES_H
#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

/* What somebody may do; bits. */
enum right {
    RIGHT_SELF = 1,           /* logged in: one's own account */
    RIGHT_STATUS = 2,         /* figures */
    RIGHT_MAIL = 4,           /* queue, tracking, lists of the quarantine, explain */
    RIGHT_CONTENT = 8,        /* look into messages */
    RIGHT_CHANGE = 16,        /* act on the queue and the quarantine */
    RIGHT_SENDERS = 32,       /* allow or block a sender */
    RIGHT_CONFIG = 64,        /* see the configuration; doctor */
    RIGHT_CONFIGURE = 128,    /* change it */
    RIGHT_ACCOUNTS = 256,     /* who administers */
    RIGHT_AUDIT = 512,
    RIGHT_METRICS = 1024,
    RIGHT_OWN = 2048,         /* one's own quarantine */
};
enum role { ROLE_ADMINISTRATOR, ROLE_OPERATOR, ROLE_AUDITOR, ROLE_USER, ROLES };
uint32_t role_rights(enum role role);
const char *role_name(enum role role);
bool role_find(struct slice name, enum role *out);
const char *right_name(enum right one);             /* "self", "status" ... */
bool right_find(struct slice name, enum right *out);

enum route_type {
    ROUTE_TEXT, ROUTE_NUMBER, ROUTE_BOOL,
    ROUTE_TEXTS,              /* an array of strings; of bodies only */
    ROUTE_OBJECT, ROUTE_ARRAY, ROUTE_ANY, /* of bodies only; what is within is for the one that serves */
};
/* An argument of the query, or a member of the body. */
struct route_field {
    const char *name;
    enum route_type type;
    bool required;
    const char *help;
    const char *words;        /* "spam ham forget": one of these; NULL: any */
};
#define ROUTE_FIELD_MAX 65536 /* bytes of a text in an argument, or in a body where nothing else is said */

struct http_request;
struct route {
    const char *method, *path;     /* an asterisk in it stands for one segment */
    const char *help;              /* what it does, in one line */
    void (*serve)(struct http_request *r);
    uint32_t right;                /* one of enum right; 0: open to everybody */
    const struct route_field *arguments, *body; /* up to one without a name; NULL: none. With a body it must be a JSON object of these */
    const char *answers;           /* what an answer has, for the document: "messages: array, total?: integer" */
    bool body_file;                /* the body goes into a file, and may be large */
    bool reads;                    /* changes nothing, whatever its method: it is not audited but where it is refused */
    bool no_token;                 /* for sessions of people only, and the control socket */
    uint32_t body_max;             /* bytes of a body that is no file; 0: a mebibyte */
    bool slashes;                  /* what the asterisk, at the end, stands for may have some */
};

/* A subject's routes, up to one without a path. */
extern const struct route routes_status[], routes_queue[], routes_tables[], routes_trace[], routes_quarantine[], routes_account[],
    routes_accounts[], routes_config[], routes_keys[], routes_doctor[], routes_statistics[], routes_ops[], routes_own[], routes_web[], routes_look[],
    routes_backup[], routes_import[], routes_users[];
/* All of these. */
extern const struct route *const route_tables[];
extern const unsigned route_table_n;

/* NULL: *status is 404 or 405. rest: what the asterisk stands for. */
const struct route *api_route_find(const char *method, struct slice path, struct slice *rest, int *status);
/* Those that a path has: "GET, HEAD, POST". */
void api_route_methods(struct slice path, char *out, size_t size);

#endif
