/* SPDX-License-Identifier: Apache-2.0
 * Facts of whole messages: what rules get to see of header, text, HTML, links and the way a message came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "spam/facts.h"
#include "spam/facts_date.h"

static const struct config_scan limits = { .depth = 10, .parts = 1000, .unpacked = 10 << 20, .ratio = 200, .unpack_time = 5000 };

struct expected {
    const char *fact;
    int32_t n;
};

static void check(const char *message, const struct scan_context *c, const struct expected *e)
{
    struct arena arena = { 0 };
    struct content_message m;
    struct facts f;
    content_message_read(&m, slice_str(message), &limits, NULL, &arena);
    facts_take(&f, &m, c, NULL, 0, NULL, &arena);
    for (; e->fact; e++) {
        enum fact fact;
        if (!fact_find(slice_str(e->fact), &fact))
            fail_msg("%s is no fact", e->fact);
        if (f.n[fact] != e->n)
            fail_msg("%s is %d instead of %d", e->fact, f.n[fact], e->n);
    }
    arena_deinit(&arena);
}

static void header(void **state)
{
    check("Received: from pc (unknown [203.0.113.9]) by mx.example.net; Mon, 6 May 2024 10:00:03 +0000\r\n"
          "From: \"service@bank.example\" <a12b34@other.example>\r\nReply-To: x@third.example\r\n"
          "To: jane@home.example, jack@home.example, jim@home.example\r\nCc: joe@home.example\r\n"
          "Subject: jane, WIN NOW\r\nDate: Wed, 8 May 2024 10:00:00 +0000\r\nMessage-ID: <1@mx.example.net>\r\n\r\nDear jane@home.example\r\n",
        NULL,
        (const struct expected[]){ { "from.count", 1 }, { "from.digits", 4 }, { "from.name-address", 1 }, { "reply.differs", 1 },
            { "to.count", 4 }, { "to.sorted", 3 }, { "to.named", -1 }, { "subject.recipient", 1 }, { "text.recipient", 1 },
            { "msgid.differs", 1 }, { "msgid.late", 1 }, { "received", 1 }, { "date.off", 47 }, { "client.unnamed", 1 },
            { "client.known", 0 }, { "subject.letters", 10 }, { "subject.upper", 60 }, { NULL, 0 } });
    check("From: Jane <jane@home.example>\r\nTo: jane@home.example\r\nSubject: x\r\nDate: soon\r\n\r\nHi\r\n", NULL,
        (const struct expected[]){ { "from.recipient", 1 }, { "date.bad", 1 }, { "reply.differs", 0 }, { "msgid.late", 0 }, { NULL, 0 } });
}

static void way(void **state)
{
    struct slice rcpt = SLICE("jane@home.example");
    struct scan_context c = { .client = { .family = 4 }, .client_name = SLICE("host.provider.example"), .helo = SLICE("mx.yahoo.com"),
        .sender = SLICE("bounce@list.example"), .rcpts = &rcpt, .rcpt_n = 1, .spf = SLICE("pass"), .dkim_domains = SLICE("x.example other.example"),
        .reputation = 7, .arrival = UINT64_C(1714989600000) /* 6 May 2024 10:00 */ };
    check("Received: from a by b; Mon, 6 May 2002 10:00:03 +0000\r\nFrom: a@mail.other.example\r\nTo: x@y.example\r\n"
          "Date: Mon, 6 May 2024 12:00:00 +0200\r\n\r\nx\r\n", &c,
        (const struct expected[]){ { "client.known", 1 }, { "helo.differs", 1 }, { "sender.differs", 1 }, { "to.named", 0 },
            { "reputation", 7 }, { "date.off", 0 }, { NULL, 0 } });
}

static void html(void **state)
{
    check("From: a@shop.example\r\nTo: jane@home.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
          "<html><body onload=\"x()\"><center><font size=+3 color=red>Vi<!-- x -->ag<xyz>ra</font><font color=\"blue\" size=1>b</font></center>"
          "<a href=\"http://192.0.2.1:8000/jane@home.example\">www.bank.example</a> <a href=\"http://www.shop.example/\">shop</a>"
          "<a href=\"http://u@evil.example/\">x</a><a href=\"data:text/html,x\">y</a><img src=\"http://shop.example/i.gif\">"
          "<form action=\"http://shop.example/f\"></form><span style=\"font-size:0px\">hidden words here that nobody sees</span></html>\r\n",
        NULL,
        (const struct expected[]){ { "html.only", 1 }, { "html.big", 1 }, { "html.fonts", 2 }, { "html.colors", 2 }, { "html.split", 2 },
            { "html.comments", 1 }, { "html.events", 1 }, { "html.forms", 1 }, { "html.images", 1 }, { "html.center", 1 },
            { "html.tiny", 1 }, { "html.opened", 1 }, { "html.closed", 1 }, { "links.addresses", 1 }, { "links.ports", 1 },
            { "links.mismatch", 1 }, { "links.recipient", 1 }, { "links.users", 1 }, { "links.data", 1 }, { "links.images", 1 }, { "hidden.bytes", 34 },
            { NULL, 0 } });
}

static void text(void **state)
{
    check("From: a@b.example\r\nSubject: x\r\n\r\nBUY V.I.A.G.R.A now! It is $50 or $ 60!! p\xD0\xB0ypal v1agra "
          "A.B.C.D.E.F.G\r\n> quoted line\r\n", NULL,
        (const struct expected[]){ { "text.exclamations", 3 }, { "text.money", 2 }, { "text.gapped", 1 }, { "text.lookalike", 1 },
            { "text.broken", 1 }, { "text.quoted", 1 }, { "html.bytes", 0 }, { NULL, 0 } });
}

static void dates(void **state)
{
    static const struct { const char *text; int64_t at; } good[] = {
        { "Mon, 06 May 2024 10:00:00 +0000", 1714989600 }, { "6 May 2024 12:00:00 +0200", 1714989600 },
        { "Mon, 6 May 24 05:00 EST", 1714989600 }, { "Mon 6 May 2024 10:00:00 GMT (UTC)", 1714989600 },
        { "Thu, 01 Jan 1970 00:00:00 +0000", 0 }, { "Sat, 31 Dec 99 23:59:59 +0000", 946684799 },
    };
    static const char *const bad[] = { "", "soon", "06/05/2024 10:00", "Mon, 32 May 2024 10:00:00 +0000", "6 May 2024", "6 May 2024 25:00:00",
        "6 Mai 2024 10:00:00", "6 May 2024 10:00:00 +9900" };
    int64_t at;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!facts_date_read(slice_str(good[i].text), &at))
            fail_msg("%s is a date", good[i].text);
        assert_int_equal(at, good[i].at);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (facts_date_read(slice_str(bad[i]), &at))
            fail_msg("%s is no date", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header), cmocka_unit_test(way), cmocka_unit_test(html), cmocka_unit_test(text), cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
