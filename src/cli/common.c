/* SPDX-License-Identifier: Apache-2.0
 * What commands share. */
#include "cli/common.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "config/parse.h"

#define ANSWER_MAX (256u << 20)
#define REQUEST_SECONDS 120L
#define DEFAULT_SOCKET "/run/postern/control.sock"

/* ---- arguments */

static bool names(const char *word, const char *name, size_t n)
{
    if (name[0] == '-') return strlen(name) == n && !memcmp(word, name, n);
    return n == strlen(name) + 2 && !memcmp(word, "--", 2) && !memcmp(word + 2, name, n - 2);
}

bool cli_option(int argc, char **argv, int *at, const char *name, const char **value)
{
    const char *word = argv[*at], *equals = strchr(word, '=');
    if (!strncmp(word, "--", 2) && equals && names(word, name, (size_t)(equals - word))) {
        *value = equals + 1;
        return true;
    }
    if (!names(word, name, strlen(word))) return false;
    if (*at + 1 >= argc) {
        fprintf(stderr, "postern: %s needs a value\n", word);
        exit(EX_USAGE);
    }
    *value = argv[++*at];
    return true;
}

bool cli_flag(char **argv, int at, const char *name)
{
    return names(argv[at], name, strlen(argv[at]));
}

int cli_help(const char *command, char *word, const char *help)
{
    bool asked = cli_flag(&word, 0, "--help") || cli_flag(&word, 0, "-h");
    if (!asked) cli_complain(command, "what is \"", word, "\"?");
    fputs(help, asked ? stdout : stderr);
    return asked ? 0 : EX_USAGE;
}

bool cli_take_id(const char *word, json_t *ids)
{
    uint64_t id;
    size_t i;
    json_t *known;
    if (!id_parse(slice_str(word), &id)) return false;
    json_array_foreach(ids, i, known)
        if (!strcmp(json_string_value(known), word)) return true;
    return json_array_append_new(ids, json_string(word)) == 0;
}

bool cli_config_option(int argc, char **argv, int *at, const char **config)
{
    return cli_option(argc, argv, at, "-c", config) || cli_option(argc, argv, at, "--config", config);
}

bool cli_daemon_option(int argc, char **argv, int *at, const char **config, const char **socket)
{
    return cli_config_option(argc, argv, at, config) || cli_option(argc, argv, at, "--socket", socket);
}

bool cli_read_file(const char *name, size_t max, struct buf *out, struct err *err)
{
    bool standard = !strcmp(name, "-");
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "cannot open %.300s", name);
    ssize_t k = 0;
    out->max = max;
    do {
        out->n += (size_t)k;
        char *room = buf_reserve(out, 65536);
        k = room ? read(fd, room, 65536) : 0;
    } while (k > 0);
    int code = errno;
    if (!standard) close(fd);
    if (out->overflow) return err_set(err, "%.300s is larger than %zu bytes", name, max);
    return k == 0 || err_sys(err, code, "cannot read %.300s", name);
}

/* ---- the daemon */

char *cli_socket_path(const char *socket, const char *config)
{
    struct buf text = { 0 }, path = { 0 };
    struct err err;
    if (socket) return mem_strdup(socket);
    bool readable = config_read_file(config, &text, &err); /* it may not be for us */
    if (readable && config_run_directory(buf_slice(&text), config, &path)) buf_add_str(&path, "/control.sock");
    else {
        buf_add_str(&path, DEFAULT_SOCKET);
        if (readable)
            fprintf(stderr, "postern: %s cannot be understood, so the daemon is looked for at %s; --socket names another\n",
                    config, DEFAULT_SOCKET);
    }
    char *copy = mem_strdup(buf_cstr(&path));
    buf_deinit(&text);
    buf_deinit(&path);
    return copy;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct buf *answer = arg;
    buf_add(answer, slice_of(p, size * n));
    return answer->overflow ? 0 : size * n;
}

static bool explain(CURL *curl, CURLcode rc, const char *socket_path, struct err *err)
{
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &code);
    if (rc != CURLE_COULDNT_CONNECT)
        return err_set(err, "the daemon at %.200s: %s", socket_path, curl_easy_strerror(rc));
    if (code == EACCES || code == EPERM)
        err_set(err, "no permission for %.200s: run this as root or as a member of the socket's group", socket_path);
    else
        err_set(err, "postern is not running (%.200s: %s)", socket_path, strerror(code ? (int)code : ECONNREFUSED));
    err->code = code ? (int)code : ECONNREFUSED;
    return false;
}

static bool perform(CURL *curl, const char *socket_path, const char *method, const char *path, struct slice body,
                    struct buf *answer, struct err *err)
{
    struct buf url = { 0 };
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    buf_addf(&url, "http://postern%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, buf_cstr(&url));
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, REQUEST_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.n ? body.p : "");
    }
    CURLcode rc = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    buf_deinit(&url);
    return rc == CURLE_OK ? true : explain(curl, rc, socket_path, err);
}

/* Length of a control character of a terminal at s: C0, DEL, or C1 in UTF-8; else 0. */
static size_t control_length(const char *s)
{
    unsigned char c = (unsigned char)s[0], next = c ? (unsigned char)s[1] : 0;
    if (c == 0xC2 && next >= 0x80 && next < 0xA0) return 2;
    return c < 0x20 || c == 0x7F;
}

static void disarm_string(json_t *j)
{
    struct slice s = slice_of(json_string_value(j), json_string_length(j));
    struct buf clean = { 0 };
    for (size_t i = 0, n; i < s.n; i += n ? n : 1) {
        n = control_length(s.p + i);
        buf_add_char(&clean, n ? '?' : s.p[i]);
    }
    if (s.n) json_string_setn_nocheck(j, clean.p, clean.n);
    buf_deinit(&clean);
}

static bool is_armed(const char *s)
{
    while (*s && !control_length(s)) s++;
    return *s;
}

void cli_disarm(json_t *j)
{
    size_t i;
    const char *key;
    json_t *v;
    void *next;
    if (json_is_string(j)) disarm_string(j);
    json_array_foreach(j, i, v) cli_disarm(v);
    json_object_foreach_safe(j, next, key, v) {
        if (is_armed(key)) json_object_del(j, key);
        else cli_disarm(v);
    }
}

/* A refused reload comes with findings: that answer is for the caller, as one that went well. */
static json_t *understand(long status, const struct buf *text, struct err *err)
{
    json_error_t e;
    json_t *answer = json_loadb(text->p ? text->p : "", text->n, JSON_REJECT_DUPLICATES, &e);
    json_t *said = json_object_get(answer, "error");
    if (json_is_string(said)) disarm_string(said);
    const char *error = json_string_value(said);
    if (!json_is_object(answer)) err_set(err, "the daemon's answer is not understood (status %ld)", status);
    else if (status / 100 != 2 && !json_object_get(answer, "findings"))
        err_set(err, "%.300s", error ? error : "refused");
    else return answer;
    json_decref(answer);
    return NULL;
}

/* False: no answer at all. */
static bool request(const char *socket_path, const char *method, const char *path, struct slice body, struct buf *text, long *status,
                    struct err *err)
{
    CURL *curl = curl_easy_init();
    text->max = ANSWER_MAX;
    if (!curl) return err_set(err, "no memory for a request");
    bool ok = perform(curl, socket_path, method, path, body, text, err);
    if (ok) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return ok;
}

json_t *cli_post(const char *socket_path, const char *path, struct slice body, struct err *err)
{
    struct buf text = { 0 };
    long status = 0;
    json_t *answer = request(socket_path, "POST", path, body, &text, &status, err) ? understand(status, &text, err) : NULL;
    buf_deinit(&text);
    return answer;
}

json_t *cli_request(const char *socket_path, const char *method, const char *path, const json_t *body, struct err *err)
{
    struct buf text = { 0 };
    char *sent = body ? json_dumps(body, JSON_COMPACT) : NULL;
    long status = 0;
    json_t *answer = request(socket_path, method, path, slice_str(sent), &text, &status, err) ? understand(status, &text, err) : NULL;
    free(sent);
    buf_deinit(&text);
    return answer;
}

json_t *cli_ask(const char *socket, const char *config, const char *method, const char *path, json_t *body, struct err *err)
{
    char *at = cli_socket_path(socket, config);
    json_t *answer = cli_request(at, method, path, body, err);
    free(at);
    json_decref(body);
    return answer;
}

bool cli_download(const char *socket_path, const char *path, struct buf *out, struct err *err)
{
    long status = 0;
    if (!request(socket_path, "GET", path, SLICE(""), out, &status, err)) return false;
    if (status == 200) return true;
    json_decref(understand(status, out, err)); /* an error's text */
    return false;
}

/* As a part of a URL's query. */
static void add_escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if ((c >= '0' && c <= '9') || (ascii_lower(*s) >= 'a' && ascii_lower(*s) <= 'z') || c == '-' || c == '.' ||
            c == '_')
            buf_add_char(out, *s);
        else buf_addf(out, "%%%02X", c);
    }
}

json_t *cli_get(const char *socket_path, const char *path, const json_t *arguments, struct err *err)
{
    struct buf b = { 0 };
    const char *key, *between = "?";
    const json_t *v;
    buf_add_str(&b, path);
    json_object_foreach((json_t *)(uintptr_t)arguments, key, v) {
        buf_addf(&b, "%s%s=", between, key);
        between = "&";
        if (json_is_integer(v)) buf_add_u64(&b, (uint64_t)json_integer_value(v));
        else add_escaped(&b, json_string_value(v));
    }
    json_t *answer = cli_request(socket_path, "GET", buf_cstr(&b), NULL, err);
    buf_deinit(&b);
    return answer;
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "postern: %s\n", err->text);
    switch (err->code) {
    case 0: return EX_DATAERR; /* refused with a reason */
    case EACCES:
    case EPERM: return EX_NOPERM;
    default: return EX_UNAVAILABLE;
    }
}

int cli_show(json_t *answer, bool json, void (*print)(const json_t *answer), const struct err *err)
{
    if (!answer) return cli_fail(err);
    if (json) cli_print_json(answer);
    else {
        cli_disarm(answer);
        print(answer);
    }
    json_decref(answer);
    return 0;
}

bool cli_complain(const char *command, const char *before, const char *what, const char *behind)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(what), 260);
    fprintf(stderr, "postern %s: %s%s%s\n\n", command, before, buf_cstr(&b), behind);
    buf_deinit(&b);
    return false;
}

/* ---- words for people */

void cli_print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    putchar('\n');
}

const char *cli_text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

json_int_t cli_number_of(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

void cli_print_finding(const char *file, unsigned line, unsigned column, bool warning, const char *option,
                       const char *text, const char *hint)
{
    fprintf(stderr, "%s:%u:%u: %s: %s%s%s", file, line, column, warning ? "warning" : "error", option,
            *option ? ": " : "", text);
    if (*hint) fprintf(stderr, " (%s)", hint);
    fputc('\n', stderr);
}

const char *cli_size(struct buf *b, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    double v = (double)bytes;
    int unit = -1;
    buf_clear(b);
    while (v >= 999.5 && unit < 5) {
        v /= 1024;
        unit++;
    }
    if (unit < 0) buf_add_u64(b, bytes);
    else buf_addf(b, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
    return buf_cstr(b);
}

const char *cli_span(struct buf *b, int64_t ms)
{
    buf_clear(b);
    if (ms < 0) buf_add_char(b, '-');
    else clock_add_span(b, (uint64_t)ms);
    return buf_cstr(b);
}

void cli_add_fitted(struct buf *out, const char *s, size_t width)
{
    struct buf clean = { 0 };
    size_t columns = 0, at = 0, cut = 0;
    buf_add_printable(&clean, slice_str(s), 1000);
    while (at < clean.n) {
        uint32_t code = 0;
        size_t n = utf8_char(slice_sub(buf_slice(&clean), at, clean.n), &code);
        columns += utf8_width(code);
        if (columns > width) break;
        at += n ? n : 1;
        if (columns < width) cut = at; /* there is room for "~" behind it */
    }
    buf_add(out, slice_of(clean.p, at < clean.n ? cut : clean.n));
    if (at < clean.n) buf_add_char(out, '~');
    buf_deinit(&clean);
}

/* ---- words from people */

bool cli_parse_span(struct slice s, uint64_t *ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 }, { 'w', 604800000 } };
    uint64_t n;
    if (s.n < 2 || !slice_to_u64(slice_sub(s, 0, s.n - 1), 1000000, &n)) return false;
    for (size_t i = 0; i < countof(units); i++) {
        if (s.p[s.n - 1] != units[i].unit) continue;
        *ms = n * units[i].ms;
        return true;
    }
    return false;
}
