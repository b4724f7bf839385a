/* SPDX-License-Identifier: Apache-2.0
 * What rules may look at: texts and numbers taken from a message and from what is known of its coming. */
#ifndef POSTERN_SPAM_FACTS_H
#define POSTERN_SPAM_FACTS_H
#include "base/public_suffix.h"
#include "content/context.h"
#include "content/message.h"

/* Texts: id, word of the rule files, what it is. */
#define SPAM_LOOKS(X) \
    X(SUBJECT, "subject", "the subject, decoded") \
    X(TEXT, "text", "the text as a reader sees it, without the subject") \
    X(WORDS, "words", "subject and text") \
    X(HTML, "html", "the source of HTML parts") \
    X(HIDDEN, "hidden", "text in HTML that no reader sees") \
    X(LINK, "link", "each link's address") \
    X(HOST, "host", "each link's host") \
    X(SHOWN, "shown", "the text that stands for each link") \
    X(NAME, "name", "each name of an attached file") \
    X(TYPE, "type", "each part's declared type") \
    X(FROM, "from", "the address in From") \
    X(FROM_NAME, "from-name", "the name beside it") \
    X(REPLY_TO, "reply-to", "the address in Reply-To") \
    X(SENDER, "sender", "the reverse-path; empty: bounces") \
    X(TO, "to", "each address in To and Cc") \
    X(HELO, "helo", "the client's name for itself") \
    X(CLIENT, "client", "the client's name in the DNS") \
    X(AUTH, "auth", "spf=pass dkim=none dmarc=fail arc=none") \
    X(HEADER, "header", "a field's decoded value") \
    X(RAW, "raw", "a field as it came")

/* Numbers: id, name, what it is. */
#define SPAM_FACTS(X) \
    X(SIZE, "size", "bytes of the message") \
    X(TEXT_BYTES, "text.bytes", "bytes of its text") \
    X(TEXT_WORDS, "text.words", "words in it") \
    X(TEXT_UPPER, "text.upper", "percent of its letters that are capitals") \
    X(TEXT_EXCLAMATIONS, "text.exclamations", "exclamation marks") \
    X(TEXT_MONEY, "text.money", "sums of money") \
    X(TEXT_SHOUTED, "text.shouted", "words of four capitals or more") \
    X(TEXT_QUOTED, "text.quoted", "lines that quote another message") \
    X(TEXT_GAPPED, "text.gapped", "words with a blank, dot or the like between all letters") \
    X(TEXT_LOOKALIKE, "text.lookalike", "words that mix Latin letters with ones of other scripts that look the same") \
    X(TEXT_BROKEN, "text.broken", "words in which digits or signs stand for letters") \
    X(TEXT_INVISIBLE, "text.invisible", "zero-width characters") \
    X(SUBJECT_BYTES, "subject.bytes", "bytes of the subject") \
    X(SUBJECT_UPPER, "subject.upper", "percent of its letters that are capitals") \
    X(SUBJECT_LETTERS, "subject.letters", "its letters of ASCII") \
    X(SUBJECT_LOOKALIKE, "subject.lookalike", "as of the text") \
    X(SUBJECT_INVISIBLE, "subject.invisible", "zero-width characters in subject and From") \
    X(SUBJECT_8BIT, "subject.8bit", "raw bytes above 127 in subject and From") \
    X(HTML_BYTES, "html.bytes", "bytes of HTML") \
    X(HTML_SHARE, "html.share", "percent of HTML that is text") \
    X(HTML_ONLY, "html.only", "1: there is HTML and no plain text") \
    X(HTML_TAGS, "html.tags", "tags") \
    X(HTML_UNKNOWN, "html.unknown", "percent of them that HTML does not know") \
    X(HTML_IMAGES, "html.images", "images") \
    X(HTML_FORMS, "html.forms", "forms") \
    X(HTML_SCRIPTS, "html.scripts", "scripts and frames") \
    X(HTML_EVENTS, "html.events", "handlers of events: onload and its like") \
    X(HTML_FONTS, "html.fonts", "font tags") \
    X(HTML_BIG, "html.big", "fonts of the largest sizes") \
    X(HTML_TINY, "html.tiny", "fonts of no readable size") \
    X(HTML_COLORS, "html.colors", "different colours of fonts") \
    X(HTML_CENTER, "html.center", "centred pieces") \
    X(HTML_TABLES, "html.tables", "tables") \
    X(HTML_COMMENTS, "html.comments", "comments") \
    X(HTML_SPLIT, "html.split", "words that a comment or unknown tag splits") \
    X(HTML_ENTITIES, "html.entities", "letters of ASCII written as numbered entities") \
    X(HTML_CLOSED, "html.closed", "1: it ends with </html>") \
    X(HTML_OPENED, "html.opened", "1: it has <html>") \
    X(HIDDEN_BYTES, "hidden.bytes", "bytes of hidden text") \
    X(LINKS, "links", "links to be clicked") \
    X(LINK_HOSTS, "links.hosts", "different domains of them") \
    X(LINK_ADDRESSES, "links.addresses", "links to addresses instead of names") \
    X(LINK_NUMBERS, "links.numbers", "hosts written as one number, octal or hexadecimal") \
    X(LINK_PORTS, "links.ports", "links to unusual ports") \
    X(LINK_USERS, "links.users", "links with a user's name before the host") \
    X(LINK_ENCODED, "links.encoded", "links with needlessly encoded letters") \
    X(LINK_MISMATCH, "links.mismatch", "links whose text is an address of another domain") \
    X(LINK_RECIPIENT, "links.recipient", "links with a recipient's address in them") \
    X(LINK_IMAGES, "links.images", "images loaded from elsewhere") \
    X(LINK_FORMS, "links.forms", "forms that lead to a server") \
    X(LINK_DATA, "links.data", "links to data: and javascript:") \
    X(LINK_PUNYCODE, "links.punycode", "hosts with letters beyond ASCII") \
    X(LINK_FROM, "links.from", "links to the domain of From") \
    X(MAILTO, "mailto", "addresses to be written to") \
    X(PARTS, "parts", "MIME parts") \
    X(FILES, "files", "attached files, with those in archives") \
    X(IMAGES, "images", "attached images") \
    X(EXECUTABLES, "executables", "files that run when opened") \
    X(ARCHIVES, "archives", "archives") \
    X(ENCRYPTED, "encrypted", "files that nobody can look into") \
    X(MACROS, "macros", "documents with macros") \
    X(MIME_BROKEN, "mime.broken", "1: a structure that readers read differently") \
    X(TEXT_BASE64, "text.base64", "text parts in base64 that need none") \
    X(RCPTS, "to.count", "addresses in To and Cc") \
    X(RCPTS_SORTED, "to.sorted", "addresses in a row in the order of the alphabet") \
    X(RCPTS_ALIKE, "to.alike", "addresses in To and Cc that begin alike") \
    X(TO_HAS_CLIENT_RCPT, "to.named", "1: a recipient of the envelope is in To or Cc; -1: not known") \
    X(SUBJECT_HAS_RCPT, "subject.recipient", "1: the subject has a recipient's name or address in it") \
    X(TEXT_HAS_RCPT, "text.recipient", "1: the text greets a recipient by the address") \
    X(FROM_IS_RCPT, "from.recipient", "1: From is a recipient's address") \
    X(RECEIVED, "received", "Received fields") \
    X(FIELDS, "fields", "fields of the header") \
    X(DATE_OFF, "date.off", "hours that Date lies ahead of arrival; negative: behind") \
    X(DATE_BAD, "date.bad", "1: a Date that is none") \
    X(FROM_COUNT, "from.count", "addresses in From") \
    X(FROM_DIGITS, "from.digits", "digits in From's local part") \
    X(FROM_NAME_ADDRESS, "from.name-address", "1: From's name is an address of another domain") \
    X(REPLY_DIFFERS, "reply.differs", "1: Reply-To leads to another domain than From") \
    X(SENDER_DIFFERS, "sender.differs", "1: the reverse-path is of another domain than From") \
    X(MSGID_DIFFERS, "msgid.differs", "1: Message-ID is of another domain than From") \
    X(MSGID_LATE, "msgid.late", "1: a relay on the way made the Message-ID") \
    X(FROM_SIGNED, "from.signed", "1: a DKIM signature of From's domain passed") \
    X(CLIENT_KNOWN, "client.known", "1: the client is known; 0: a command looks at a file") \
    X(CLIENT_UNNAMED, "client.unnamed", "1: the client's address has no name in the DNS") \
    X(HELO_DIFFERS, "helo.differs", "1: the client calls itself by another domain than the DNS") \
    X(CLIENT_TLS, "client.tls", "1: it came over TLS") \
    X(GREYLIST_KNOWN, "greylist.known", "1: the triplet was known before") \
    X(REPUTATION, "reputation", "percent of good mail of the client so far; -1: not known") \
    X(DNS_SCORE, "dns.score", "what the client's lists in the DNS add up to") \
    X(TRUSTED, "trusted", "1: from a user of ours") \
    X(LISTED, "links.listed", "domains of links that lists in the DNS name")

enum look {
#define X(id, name, about) LOOK_##id,
    SPAM_LOOKS(X)
#undef X
    LOOK_COUNT
};
enum fact {
#define X(id, name, about) FACT_##id,
    SPAM_FACTS(X)
#undef X
    FACT_COUNT
};

struct fact_texts {
    struct slice *v; size_t n;
};
struct facts {
    int32_t n[FACT_COUNT];
    struct fact_texts texts[LOOK_HEADER];        /* LOOK_HEADER and LOOK_RAW are asked by name */
    struct fact_texts *fields, *raw;             /* by number of the field in rules */
    struct slice from_domain;                    /* registrable */
};
const char *fact_name(enum fact f);
bool fact_find(struct slice name, enum fact *out);
bool look_find(struct slice name, enum look *out);
/* What it is a fact about: two legs that are hard to fake at once, and the DNS. */
enum fact_leg { LEG_HEADER, LEG_BODY, LEG_DNS };
enum fact_leg fact_leg(enum fact f);
enum fact_leg look_leg(enum look l);

/* Takes a message apart for the rules. fields: names that are asked for. c may be NULL. */
void facts_take(struct facts *f, const struct content_message *m, const struct scan_context *c, const struct slice *fields,
                size_t field_n, const struct public_suffix *suffixes, struct arena *arena);

/* Of this folder: the pieces of it. */
void facts_set_text(struct facts *f, enum look look, struct slice s, struct arena *arena); /* the only one; empty: none */
void facts_take_text(struct facts *f, const struct content_message *m);
void facts_take_html(struct facts *f, struct slice html, size_t text_n);
void facts_take_links(struct facts *f, const struct content_message *m, struct arena *arena);
/* Who brought it: from the context, or of a file by what the first of our own relays wrote. */
void facts_take_client(struct facts *f, const struct content_message *m, const struct scan_context *c,
                       const struct public_suffix *suffixes, struct arena *arena);
void facts_take_header(struct facts *f, const struct content_message *m, const struct scan_context *c,
                       const struct public_suffix *suffixes, struct arena *arena);
struct fact_address {
    struct slice name, address, local, domain;   /* address: as written, without brackets; domain lower case */
};
#define FACT_ADDRESSES_MAX 200
/* Addresses in a field's decoded value. */
size_t fact_addresses(struct slice value, struct arena *arena, struct fact_address *out, size_t max);
struct slice fact_registrable(const struct public_suffix *l, struct slice domain); /* or the domain itself */
struct slice fact_lower(struct slice s, struct arena *arena);

#endif
