/* SPDX-License-Identifier: Apache-2.0
 * The page: plain HTML without any style, script or picture. What others wrote is only ever text in it. */
#include "admin/digest_text.h"
#include <time.h>
#include "base/html.h"
#include "base/json.h"
#include "base/mem.h"
#include "message/words.h"

#define SHOWN 200

static void add_row(struct buf *out, const char *name, struct slice value)
{
    buf_addf(out, "<tr><th align=\"left\">%s</th><td>", name);
    html_add(out, value, SHOWN);
    buf_add_str(out, "</td></tr>\n");
}

static void add_message(const json_t *m, struct slice address, struct buf *out)
{
    struct buf words = { 0 };
    struct slice sender = json_text(m, "sender");
    char text[40] = "";
    time_t t = (time_t)(json_integer_value(json_object_get(m, "stored")) / 1000);
    struct tm tm;
    if (localtime_r(&t, &tm)) (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
    words_add(&words, json_text(m, "subject"));
    buf_add_str(out, "<table>\n");
    add_row(out, "From", sender.n ? sender : SLICE("(a mail system)"));
    add_row(out, "To", address);
    add_row(out, "Subject", buf_slice(&words));
    add_row(out, "Held since", slice_str(text));
    buf_add_str(out, "</table>\n");
    buf_deinit(&words);
}

void digest_page_text(enum digest_page_kind kind, const json_t *message, struct slice address, const char *token, struct buf *out)
{
    static const struct {
        const char *title, *text;
    } pages[] = {
        [DIGEST_PAGE_ASK] = { "Release a message?", "This message was held back. If you know what it is it can be delivered to you." },
        [DIGEST_PAGE_DONE] = { "Released", "The message is on its way to you." },
        [DIGEST_PAGE_AGAIN] = { "Released before", "This message has been released already. It is not sent again." },
        [DIGEST_PAGE_NONE] = { "Nothing here", "This link is not valid, or no longer." },
        [DIGEST_PAGE_LATER] = { "Not now", "This is not possible at the moment. Please try again later." },
        [DIGEST_PAGE_METHOD] = { "Nothing here", "This is not possible." },
    };
    bool shown = kind == DIGEST_PAGE_ASK || kind == DIGEST_PAGE_DONE || kind == DIGEST_PAGE_AGAIN;
    buf_addf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<title>%s</title>\n</head>\n<body>\n<h1>%s</h1>\n<p>%s</p>\n", pages[kind].title, pages[kind].title, pages[kind].text);
    if (shown) add_message(message, address, out);
    if (kind == DIGEST_PAGE_ASK)
        buf_addf(out, "<form method=\"post\">\n<input type=\"hidden\" name=\"token\" value=\"%s\">\n"
                      "<p><button type=\"submit\">Deliver it to me</button></p>\n</form>\n", token);
    buf_add_str(out, "</body>\n</html>\n");
}
