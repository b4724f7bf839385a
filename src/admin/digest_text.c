/* SPDX-License-Identifier: Apache-2.0
 * The page: plain HTML without any style, script or picture. What others wrote is only ever text in it. */
#include "admin/digest_text.h"
#include "base/html.h"
#include "base/json.h"
#include "message/words.h"

#define SHOWN 200
#define PHRASE_SHOWN 1000

static void add_phrase(const struct wording *w, enum template_kind kind, const char *name, struct buf *out)
{
    struct buf text = { 0 };
    template_add_phrase(w, kind, name, NULL, 0, &text);
    html_add(out, buf_slice(&text), PHRASE_SHOWN);
    buf_deinit(&text);
}

static void add_row(const struct wording *w, const char *name, struct slice value, struct buf *out)
{
    buf_add_str(out, "<tr><th align=\"left\">");
    add_phrase(w, TEMPLATE_PAGE, name, out);
    buf_add_str(out, "</th><td>");
    html_add(out, value, SHOWN);
    buf_add_str(out, "</td></tr>\n");
}

static void add_message(const struct wording *w, const json_t *m, struct slice address, struct buf *out)
{
    struct buf words = { 0 }, sender = { 0 }, since = { 0 };
    buf_add(&sender, json_text(m, "sender"));
    if (!sender.n) template_add_phrase(w, TEMPLATE_WORDS, "no-sender", NULL, 0, &sender);
    template_add_date(w, "time", (uint64_t)json_integer_value(json_object_get(m, "stored")), &since);
    words_add(&words, json_text(m, "subject"));
    buf_add_str(out, "<table>\n");
    add_row(w, "from", buf_slice(&sender), out);
    add_row(w, "to", address, out);
    add_row(w, "subject", buf_slice(&words), out);
    add_row(w, "since", buf_slice(&since), out);
    buf_add_str(out, "</table>\n");
    buf_deinit(&words);
    buf_deinit(&sender);
    buf_deinit(&since);
}

static void add_form(const struct wording *w, const char *token, struct buf *out)
{
    buf_addf(out, "<form method=\"post\">\n<input type=\"hidden\" name=\"token\" value=\"%s\">\n<p><button type=\"submit\">", token);
    add_phrase(w, TEMPLATE_PAGE, "ask-button", out);
    buf_add_str(out, "</button></p>\n</form>\n");
}

void digest_page_text(const struct wording *w, enum digest_page_kind kind, const json_t *message, struct slice address, const char *token,
                      struct buf *out)
{
    static const struct {
        const char *title, *text;
    } pages[] = {
        [DIGEST_PAGE_ASK] = { "ask-title", "ask-text" },       [DIGEST_PAGE_DONE] = { "done-title", "done-text" },
        [DIGEST_PAGE_AGAIN] = { "again-title", "again-text" }, [DIGEST_PAGE_NONE] = { "none-title", "none-text" },
        [DIGEST_PAGE_LATER] = { "later-title", "later-text" }, [DIGEST_PAGE_METHOD] = { "method-title", "method-text" },
    };
    bool shown = kind == DIGEST_PAGE_ASK || kind == DIGEST_PAGE_DONE || kind == DIGEST_PAGE_AGAIN;
    buf_addf(out, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
             template_language_name(w->language));
    add_phrase(w, TEMPLATE_PAGE, pages[kind].title, out);
    buf_add_str(out, "</title>\n</head>\n<body>\n<h1>");
    add_phrase(w, TEMPLATE_PAGE, pages[kind].title, out);
    buf_add_str(out, "</h1>\n<p>");
    add_phrase(w, TEMPLATE_PAGE, pages[kind].text, out);
    buf_add_str(out, "</p>\n");
    if (shown) add_message(w, message, address, out);
    if (kind == DIGEST_PAGE_ASK) add_form(w, token, out);
    buf_add_str(out, "</body>\n</html>\n");
}
