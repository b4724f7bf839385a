/* SPDX-License-Identifier: Apache-2.0
 * True types: our own look at what mail brings most, and at what libmagic misses; libmagic for the rest of what is
 * binary. */
#include <errno.h>
#include <magic.h>
#include <stdio.h>
#include "base/mem.h"
#include "content/unpack_parts.h"

#define TEXT_LOOK 4096
#define MAGIC_LOOK 65536

locale_t unpack_utf8_locale;
static magic_t magic; /* the process's only one: opened by unpack_init before the sandbox, used by one thread */

bool unpack_init(struct err *err)
{
    if (magic) return true;
    unpack_utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!unpack_utf8_locale) return err_sys(err, errno, "the locale C.UTF-8 cannot be used");
    magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_TAR |
                       MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_CSV | MAGIC_NO_CHECK_JSON | MAGIC_NO_CHECK_APPTYPE |
                       MAGIC_NO_CHECK_TEXT | MAGIC_NO_CHECK_ENCODING);
    if (magic && !magic_load(magic, NULL)) return true;
    err_set(err, "libmagic's database cannot be read: %s; is the package libmagic-mgc installed?",
            magic ? magic_error(magic) : strerror(errno));
    unpack_deinit();
    return false;
}

void unpack_deinit(void)
{
    if (magic) magic_close(magic);
    if (unpack_utf8_locale) freelocale(unpack_utf8_locale);
    magic = NULL;
    unpack_utf8_locale = (locale_t)0;
}

static const struct {
    uint32_t at;
    struct slice bytes, type;
} signatures[] = {
    { 0, UNPACK_TEXT("PK\3\4"), UNPACK_TEXT("application/zip") },
    { 0, UNPACK_TEXT("PK\5\6"), UNPACK_TEXT("application/zip") },
    { 0, UNPACK_TEXT("PK00PK\3\4"), UNPACK_TEXT("application/zip") },
    { 0, UNPACK_TEXT("PK\7\10PK\3\4"), UNPACK_TEXT("application/zip") },
    { 0, UNPACK_TEXT("\x89PNG\r\n\x1a\n"), UNPACK_TEXT("image/png") },
    { 0, UNPACK_TEXT("\xFF\xD8\xFF"), UNPACK_TEXT("image/jpeg") },
    { 0, UNPACK_TEXT("GIF8"), UNPACK_TEXT("image/gif") },
    { 0, UNPACK_TEXT("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), UNPACK_TEXT("application/x-ole-storage") },
    { 0, UNPACK_TEXT("\x1F\x8B"), UNPACK_TEXT("application/gzip") },
    { 0, UNPACK_TEXT("7z\xBC\xAF\x27\x1C"), UNPACK_TEXT("application/x-7z-compressed") },
    { 0, UNPACK_TEXT("Rar!\x1A\x07"), UNPACK_TEXT("application/x-rar") },
    { 0, UNPACK_TEXT("MSCF\0\0\0\0"), UNPACK_TEXT("application/vnd.ms-cab-compressed") },
    { 0, UNPACK_TEXT("BZh"), UNPACK_TEXT("application/x-bzip2") },
    { 0,
      UNPACK_TEXT("\xFD"
                  "7zXZ\0"),
      UNPACK_TEXT("application/x-xz") },
    { 0, UNPACK_TEXT("\x28\xB5\x2F\xFD"), UNPACK_TEXT("application/zstd") },
    { 0, UNPACK_TEXT("\x04\x22\x4D\x18"), UNPACK_TEXT("application/x-lz4") },
    { 0, UNPACK_TEXT("LZIP"), UNPACK_TEXT("application/x-lzip") },
    { 0, UNPACK_TEXT("\x1F\x9D"), UNPACK_TEXT("application/x-compress") },
    { 0, UNPACK_TEXT("\x5D\0\0"), UNPACK_TEXT("application/x-lzma") },
    { 257, UNPACK_TEXT("ustar"), UNPACK_TEXT("application/x-tar") },
    { 0, UNPACK_TEXT("070707"), UNPACK_TEXT("application/x-cpio") },
    { 0, UNPACK_TEXT("070701"), UNPACK_TEXT("application/x-cpio") },
    { 0, UNPACK_TEXT("070702"), UNPACK_TEXT("application/x-cpio") },
    { 0, UNPACK_TEXT("\xC7\x71"), UNPACK_TEXT("application/x-cpio") },
    { 0, UNPACK_TEXT("\x71\xC7"), UNPACK_TEXT("application/x-cpio") },
    { 0, UNPACK_TEXT("!<arch>\n"), UNPACK_TEXT("application/x-archive") },
    { 0, UNPACK_TEXT("xar!"), UNPACK_TEXT("application/x-xar") },
    { 0, UNPACK_TEXT("\xED\xAB\xEE\xDB"), UNPACK_TEXT("application/x-rpm") },
    { 32769, UNPACK_TEXT("CD001"), UNPACK_TEXT("application/x-iso9660-image") },
    { 32769, UNPACK_TEXT("BEA01"), UNPACK_TEXT("application/x-udf-image") },
    { 0, UNPACK_TEXT("conectix"), UNPACK_TEXT("application/x-virtualbox-vhd") },
    { 0, UNPACK_TEXT("vhdxfile"), UNPACK_TEXT("application/x-virtualbox-vhdx") },
    { 0, UNPACK_TEXT("MSWIM\0\0\0"), UNPACK_TEXT("application/x-ms-wim") },
    { 0, UNPACK_TEXT("\x60\xEA"), UNPACK_TEXT("application/x-arj") },
    { 7, UNPACK_TEXT("**ACE**"), UNPACK_TEXT("application/x-ace-compressed") },
    { 0, UNPACK_TEXT("ALZ\x01"), UNPACK_TEXT("application/x-alz") },
    { 0, UNPACK_TEXT("EGGA"), UNPACK_TEXT("application/x-egg") },
    { 0, UNPACK_TEXT("SZDD\x88\xF0\x27\x33"), UNPACK_TEXT("application/x-ms-compress-szdd") },
    { 0, UNPACK_TEXT("\x78\x9F\x3E\x22"), UNPACK_TEXT("application/vnd.ms-tnef") },
    { 0,
      UNPACK_TEXT("\x7F"
                  "ELF"),
      UNPACK_TEXT("application/x-executable") },
    { 0, UNPACK_TEXT("\xFE\xED\xFA\xCE"), UNPACK_TEXT("application/x-mach-binary") },
    { 0, UNPACK_TEXT("\xFE\xED\xFA\xCF"), UNPACK_TEXT("application/x-mach-binary") },
    { 0, UNPACK_TEXT("\xCE\xFA\xED\xFE"), UNPACK_TEXT("application/x-mach-binary") },
    { 0, UNPACK_TEXT("\xCF\xFA\xED\xFE"), UNPACK_TEXT("application/x-mach-binary") },
    { 0, UNPACK_TEXT("\xCA\xFE\xBA\xBE"), UNPACK_TEXT("application/x-java-applet") },
    { 0, UNPACK_TEXT("dex\n03"), UNPACK_TEXT("application/x-dex") },
    { 0, UNPACK_TEXT("\0asm"), UNPACK_TEXT("application/wasm") },
    { 0, UNPACK_TEXT("ITSF"), UNPACK_TEXT("application/vnd.ms-htmlhelp") },
    { 0, UNPACK_TEXT("\x3F\x5F\x03\0"), UNPACK_TEXT("application/winhlp") },
    { 0, UNPACK_TEXT("\x4C\0\0\0\x01\x14\x02\0"), UNPACK_TEXT("application/x-ms-shortcut") },
    { 8, UNPACK_TEXT("\x19\x04\0\x10"), UNPACK_TEXT("application/vnd.symbian.install") },
    { 0, UNPACK_TEXT("\x7A\x1A\x20\x10"), UNPACK_TEXT("application/vnd.symbian.install") },
    { 0, UNPACK_TEXT("FWS"), UNPACK_TEXT("application/x-shockwave-flash") },
    { 0, UNPACK_TEXT("CWS"), UNPACK_TEXT("application/x-shockwave-flash") },
    { 0, UNPACK_TEXT("ZWS"), UNPACK_TEXT("application/x-shockwave-flash") },
    { 0, UNPACK_TEXT("\xE4\x52\x5C\x7B\x8C\xD8\xA7\x4D\xAE\xB1\x53\x78\xD0\x29\x96\xD3"),
      UNPACK_TEXT("application/onenote") },
    { 0, UNPACK_TEXT("ActiveMime\0"), UNPACK_TEXT("application/x-mso") },
    { 0, UNPACK_TEXT("{\\rt"), UNPACK_TEXT("text/rtf") },
    { 4, UNPACK_TEXT("Standard Jet DB"), UNPACK_TEXT("application/x-msaccess") },
    { 4, UNPACK_TEXT("Standard ACE DB"), UNPACK_TEXT("application/x-msaccess") },
    { 0, UNPACK_TEXT("\x30\x26\xB2\x75\x8E\x66\xCF\x11"), UNPACK_TEXT("video/x-ms-asf") },
    { 0, UNPACK_TEXT("ID3"), UNPACK_TEXT("audio/mpeg") },
    { 0, UNPACK_TEXT("OggS"), UNPACK_TEXT("application/ogg") },
    { 0, UNPACK_TEXT("fLaC"), UNPACK_TEXT("audio/flac") },
    { 0, UNPACK_TEXT("II*\0"), UNPACK_TEXT("image/tiff") },
    { 0, UNPACK_TEXT("MM\0*"), UNPACK_TEXT("image/tiff") },
    { 0, UNPACK_TEXT("\x1A\x45\xDF\xA3"), UNPACK_TEXT("video/x-matroska") },
    { 0, UNPACK_TEXT("wOFF"), UNPACK_TEXT("font/woff") },
    { 0, UNPACK_TEXT("wOF2"), UNPACK_TEXT("font/woff2") },
    { 8, UNPACK_TEXT("WEBP"), UNPACK_TEXT("image/webp") },
    { 8, UNPACK_TEXT("WAVE"), UNPACK_TEXT("audio/x-wav") },
    { 8, UNPACK_TEXT("AVI "), UNPACK_TEXT("video/x-msvideo") },
    { 4, UNPACK_TEXT("ftypM4A"), UNPACK_TEXT("audio/mp4") },
    { 4, UNPACK_TEXT("ftypqt"), UNPACK_TEXT("video/quicktime") },
    { 4, UNPACK_TEXT("ftyphe"), UNPACK_TEXT("image/heif") },
    { 4, UNPACK_TEXT("ftypmif1"), UNPACK_TEXT("image/heif") },
    { 4, UNPACK_TEXT("ftypavif"), UNPACK_TEXT("image/avif") },
    { 4, UNPACK_TEXT("ftyp"), UNPACK_TEXT("video/mp4") },
};

static bool plausible(struct slice data, struct slice type)
{
    if (slice_eq(type, SLICE("application/x-lzma"))) /* the length: not known, or below 1 TiB */
        return data.n > 13 && (unpack_le64(data, 5) == UINT64_MAX || unpack_le64(data, 5) < (1ull << 40));
    if (slice_eq(type, SLICE("application/x-bzip2")))
        return unpack_u8(data, 3) >= '1' && unpack_u8(data, 3) <= '9' && unpack_u8(data, 4) == 0x31;
    if (slice_eq(type, SLICE("application/x-shockwave-flash"))) return unpack_u8(data, 3) < 0x40 && !unpack_is_text(data);
    if (slice_eq(type, SLICE("audio/mpeg"))) return !unpack_is_text(data);
    if (slice_eq(type, SLICE("application/x-arj"))) return unpack_le16(data, 2) >= 30 && unpack_le16(data, 2) <= 2600;
    if (slice_eq(type, SLICE("application/gzip"))) return unpack_u8(data, 2) == 8;
    if (slice_eq(type, SLICE("application/x-lz4"))) return data.n > 7;
    return true;
}

struct slice unpack_signature(struct slice data)
{
    for (size_t i = 0; i < countof(signatures); i++) {
        if (!slice_eq(unpack_at(data, signatures[i].at, signatures[i].bytes.n), signatures[i].bytes)) continue;
        if (plausible(data, signatures[i].type)) return signatures[i].type;
    }
    if (data.n > 21 && !unpack_is_text(data) && slice_starts(slice_sub(data, 2, data.n), SLICE("-lh")) && data.p[6] == '-')
        return SLICE("application/x-lzh-compressed");
    if (slice_starts(data, SLICE("MZ")) && !unpack_is_text(data)) return SLICE("application/x-dosexec");
    if (unpack_search(unpack_at(data, 0, 1024 + 5), 0, SLICE("%PDF-")) != SIZE_MAX) return SLICE("application/pdf");
    if (data.n >= 512 && !unpack_is_text(data) && slice_eq(unpack_at(data, data.n - 512, 8), SLICE("conectix")))
        return SLICE("application/x-virtualbox-vhd");
    return (struct slice){ 0 };
}

bool unpack_is_text(struct slice data)
{
    size_t n = data.n < TEXT_LOOK ? data.n : TEXT_LOOK;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)data.p[i];
        if (c < 0x20 && !strchr("\t\n\r\f\b\x1b\x1a", c)) return false;
        if (!c || c == 0x7F) return false;
    }
    return n > 0;
}

/* ---- what texts are */
static bool has_tag(struct slice text, const char *list) /* "html\0head\0": one of them, as a tag near the beginning */
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] != '<') continue;
        struct slice rest = slice_sub(text, i + 1, text.n);
        for (const char *name = list; *name; name += strlen(name) + 1)
            if (slice_istarts(rest, slice_str(name))) {
                char c = rest.n > strlen(name) ? rest.p[strlen(name)] : '>';
                if (strchr(" \t\r\n>/:\f", c)) return true;
            }
    }
    return false;
}

static bool header_line(struct slice line) /* of a mail's header, by the names that begin mails */
{
    static const char names[] =
        "received\0return-path\0from\0to\0subject\0date\0message-id\0mime-version\0content-type\0delivered-to\0"
        "x-mozilla-status\0x-unsent\0dkim-signature\0authentication-results\0content-transfer-encoding\0x-"
        "mailer\0snapshot-content-location\0";
    struct slice name;
    if (!slice_cut(&line, ':', &name)) return false;
    for (const char *p = names; *p; p += strlen(p) + 1)
        if (slice_ieq(name, slice_str(p))) return true;
    return false;
}

static bool is_mail(struct slice text)
{
    unsigned known = 0;
    struct slice line;
    for (unsigned i = 0; i < 12 && text.n && known < 3; i++) {
        slice_cut(&text, '\n', &line);
        line = line.n && line.p[line.n - 1] == '\r' ? slice_sub(line, 0, line.n - 1) : line;
        if (!line.n) break;
        if (i == 0 && slice_starts(line, SLICE("From "))) continue; /* mbox */
        if (line.p[0] == ' ' || line.p[0] == '\t') continue;
        ptrdiff_t colon = slice_find(line, ':');
        if (colon <= 0 || slice_find(slice_sub(line, 0, (size_t)colon), ' ') >= 0) return false;
        known += header_line(line);
    }
    return known >= 2;
}

static struct slice script_type(struct slice text)
{
    if (slice_starts(text, SLICE("#!"))) return SLICE("text/x-shellscript");
    if (slice_istarts(text, SLICE("@echo off")) || slice_istarts(text, SLICE("@echo on")))
        return SLICE("text/x-msdos-batch");
    if (slice_istarts(text, SLICE("<?php"))) return SLICE("text/x-php");
    if (slice_istarts(text, SLICE("[internetshortcut]"))) return SLICE("application/x-mswinurl");
    if (slice_istarts(text, SLICE("windows registry editor"))) return SLICE("text/x-ms-regedit");
    if (slice_starts(text, SLICE("#@~^"))) return SLICE("text/x-ms-script-encoded");
    return (struct slice){ 0 };
}

static struct slice markup_type(struct slice text)
{
    if (has_tag(text, "hta:application\0")) return SLICE("application/hta");
    if (has_tag(text, "html\0head\0body\0!doctype html\0iframe\0meta\0base\0center\0")) return SLICE("text/html");
    if (has_tag(text, "job\0package\0scriptlet\0component\0") && has_tag(text, "script\0registration\0"))
        return SLICE("application/x-ms-wsf");
    if (has_tag(text, "svg\0")) return SLICE("image/svg+xml");
    if (has_tag(text, "script\0")) return SLICE("text/html");
    if (unpack_search(text, 0, SLICE("<?mso-application")) != SIZE_MAX || has_tag(text, "w:worddocument\0pkg:package\0"))
        return SLICE("application/x-office-xml");
    if (slice_istarts(text, SLICE("<?xml"))) return SLICE("text/xml");
    return has_tag(text, "table\0div\0p\0a\0img\0form\0font\0title\0style\0") ? SLICE("text/html") : (struct slice){ 0 };
}

static bool begins_tag(struct slice text) /* markup is what begins with a tag or comment: text with a tag in it is not */
{
    return text.n > 1 && text.p[0] == '<' &&
           (text.p[1] == '!' || text.p[1] == '?' || ((text.p[1] | 0x20) >= 'a' && (text.p[1] | 0x20) <= 'z'));
}

static struct slice text_type(struct slice data, bool mail_too)
{
    struct slice text = unpack_at(data, 0, 65536), type = { 0 };
    if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) text = slice_sub(text, 3, text.n);
    text = slice_trim(text);
    type = script_type(text);
    if (!type.n && begins_tag(text)) type = markup_type(unpack_at(text, 0, 16384));
    if (!type.n && mail_too && is_mail(text)) type = SLICE("message/rfc822");
    if (!type.n && unpack_search(unpack_at(text, 0, 1024), 0, SLICE("(This file must be converted with BinHex")) != SIZE_MAX)
        type = SLICE("application/mac-binhex40");
    if (!type.n && slice_starts(text, SLICE("%!PS"))) type = SLICE("application/postscript");
    return type.n ? type : SLICE("text/plain");
}

static struct slice utf16_type(struct unpack *u, struct slice data)
{
    struct slice text = unpack_at(data, 2, 16384);
    char *ascii = arena_alloc(u->message->arena, text.n / 2 + 1);
    size_t n = 0, low = unpack_u8(data, 0) == 0xFF ? 0 : 1;
    for (size_t i = 0; i + 1 < text.n; i += 2) ascii[n++] = text.p[i + 1 - low] ? '?' : text.p[i + low];
    return text_type(slice_of(ascii, n), false);
}

struct slice unpack_true_type(struct unpack *u, uint32_t n)
{
    const struct content_part *p = &u->message->parts[n];
    struct slice data = p->data, type = unpack_signature(data);
    if (type.n) {
        if (slice_eq(type, SLICE("application/x-java-applet")) && unpack_be32(data, 4) < 20)
            return SLICE("application/x-mach-binary");
        return type;
    }
    bool body =
        p->is_mime && !p->name_n && !p->is_file; /* what a reader sees as text may well begin with lines of a header */
    if (unpack_is_text(data)) return text_type(data, !body);
    if (slice_starts(data, SLICE("\xFF\xFE")) || slice_starts(data, SLICE("\xFE\xFF"))) return utf16_type(u, data);
    if (!magic || !unpack_in_time(u, n)) return (struct slice){ 0 };
    const char *found = magic_buffer(magic, data.p, data.n < MAGIC_LOOK ? data.n : MAGIC_LOOK);
    if (!found || !strchr(found, '/')) return SLICE("application/octet-stream");
    /* Of programs for DOS without a header it knows the first byte only, which one in a hundred files of any data begins with. */
    if (!strcmp(found, "application/x-dosexec") && !slice_starts(data, SLICE("MZ"))) return SLICE("application/octet-stream");
    char *copy = arena_strdup(u->message->arena, slice_str(found));
    for (char *c = copy; *c; c++) *c = ascii_lower(*c);
    return slice_str(copy);
}

unsigned unpack_type_findings(struct slice type)
{
    static const struct {
        unsigned findings;
        const char *list;
    } lists[] = {
        { CONTENT_EXECUTABLE, " application/x-dosexec application/x-executable application/x-mach-binary "
                              "application/x-java-applet application/x-dex application/wasm "
                              "application/vnd.ms-htmlhelp application/winhlp application/x-ms-shortcut "
                              "application/vnd.symbian.install application/x-msaccess "
                              "application/x-mswinurl text/x-ms-regedit application/x-shockwave-flash "
                              "application/vnd.microsoft.portable-executable "
                              "application/x-sharedlib application/x-pie-executable application/x-ms-ne-executable " },
        { CONTENT_EXECUTABLE | CONTENT_SCRIPT,
          " application/hta application/x-ms-wsf text/x-msdos-batch text/x-ms-script-encoded " },
        { CONTENT_SCRIPT, " text/x-shellscript text/x-php text/x-python text/x-perl " },
        { CONTENT_ARCHIVE,
          " application/zip application/gzip application/x-7z-compressed application/x-rar "
          "application/vnd.ms-cab-compressed application/x-bzip2 "
          "application/x-xz application/zstd application/x-lz4 application/x-lzip application/x-compress "
          "application/x-lzma application/x-tar "
          "application/x-cpio application/x-archive application/x-xar application/x-rpm application/x-iso9660-image "
          "application/x-udf-image "
          "application/x-virtualbox-vhd application/x-virtualbox-vhdx application/x-ms-wim application/x-arj "
          "application/x-ace-compressed "
          "application/x-alz application/x-egg application/x-ms-compress-szdd application/x-lzh-compressed "
          "application/x-stuffit "
          "application/x-apple-diskimage application/x-zoo application/x-arc application/mac-binhex40 " },
        { CONTENT_DOCUMENT, " application/pdf application/x-ole-storage text/rtf application/onenote application/x-mso "
                            "application/x-office-xml "
                            "application/x-hwp " },
        { CONTENT_MESSAGE, " message/rfc822 " },
    };
    char padded[130];
    unsigned findings = slice_starts(type, SLICE("image/"))   ? CONTENT_IMAGE
                        : slice_starts(type, SLICE("audio/")) ? CONTENT_AUDIO
                        : slice_starts(type, SLICE("video/")) ? CONTENT_VIDEO
                                                              : 0;
    if (!type.n || type.n > 120) return findings;
    int n = snprintf(padded, sizeof padded, " %.*s ", SLICE_ARG(type));
    for (size_t i = 0; i < countof(lists); i++)
        if (memmem(lists[i].list, strlen(lists[i].list), padded, (size_t)n)) findings |= lists[i].findings;
    return findings;
}
