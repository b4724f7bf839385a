/* SPDX-License-Identifier: Apache-2.0
 * Entries of lists: the first line is the entry, the second an address, a name or an IP address that is held against it. What is
 * taken matches itself, and no expression takes long. */
#include <stdlib.h>
#include "config/list.h"
#include "base/mem.h"
#include "smtp/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) abort();
}

static bool finds(const struct list_match *l, struct slice local, struct slice domain)
{
    struct list_found f;
    list_find_address(l, local, domain, &f);
    must(!f.kind || f.entry);
    return f.kind;
}

/* What an entry says of itself. */
static void finds_itself(const struct list_match *l, const struct match *m, enum list_of of)
{
    struct list_found f;
    struct slice name = slice_str(m->domain), local = slice_of(m->local, m->local_n);
    switch (m->form) {
    case MATCH_NETWORK:
        list_find_ip(l, &m->net.ip, &f);
        must(f.kind == LIST_NETWORK && f.nearness == m->net.prefix);
        break;
    case MATCH_NAME:
    case MATCH_TREE:
        list_find_host(l, name, &f);
        must(of == LIST_OF_ADDRESSES ? finds(l, SLICE("x"), name) : f.kind == LIST_DOMAIN);
        break;
    case MATCH_NULL: must(finds(l, SLICE(""), SLICE(""))); break;
    case MATCH_MAILBOX:
    case MATCH_LOCAL: /* a local part that looks quoted when it is not stands for another one */
        if (local.n && local.p[0] != '"') must(finds(l, local, m->form == MATCH_LOCAL ? SLICE("any.example") : name));
        break;
    case MATCH_USER:
    case MATCH_EXPRESSION: break;
    }
}

static void hold_against(const struct list_match *l, struct slice text)
{
    struct list_found f;
    struct slice domain = text, local;
    struct ip ip;
    if (ip_parse(text, &ip)) list_find_ip(l, &ip, &f);
    list_find_host(l, text, &f);
    if (!slice_cut(&domain, '@', &local)) finds(l, SLICE("x"), text);
    else finds(l, local, domain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size), entry;
    slice_cut(&rest, '\n', &entry);
    char *text = mem_slicedup(entry);
    for (unsigned of = LIST_OF_CLIENTS; of <= LIST_OF_ADDRESSES; of++) {
        struct config_match from = { .match = text };
        struct match m;
        struct err err;
        struct list_match *l = list_new(&(struct config_match_list){ &from, 1 }, of, NULL, &err);
        must(match_check(slice_str(text), of, &err) == (l != NULL));
        if (!l) continue;
        must(!match_parse(slice_str(text), of, &m));
        finds_itself(l, &m, of);
        hold_against(l, rest);
        list_free(l);
    }
    free(text);
    return 0;
}
