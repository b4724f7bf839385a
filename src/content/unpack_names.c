/* SPDX-License-Identifier: Apache-2.0
 * What the name of a file says: whether it runs when it is opened, and whether it deceives. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "content/unpack_parts.h"

#define NAME_MAX_BYTES 255

/* Extensions by what opens them. Windows runs RUNS without a question, or shows them as what they are not. */
static const struct {
    enum unpack_kind kind;
    const char *list; /* blanks around each */
} extensions[] = {
    { UNPACK_KIND_RUNS, " exe com scr pif cpl msi msp mst msu bat cmd js jse vbs vbe wsf wsh wsc sct hta lnk url "
                        "website scf inf reg chm hlp jar jnlp dll ocx sys drv "
                        "ade adp app application appref-ms appx appxbundle msix msixbundle bas cnt csh diagcab fxp "
                        "gadget grp hpj htc iqy slk "
                        "library-ms search-ms searchconnector-ms settingcontent-ms isp its ksh mad maf mag mam maq mar "
                        "mas mat mau mav maw mcf mda mdb mde mdt mdw mdz "
                        "msc msh msh1 msh2 mshxml msh1xml msh2xml ops osd paf pcd plg prf prg printerexport psc1 psc2 "
                        "psd1 psdm1 rdp shb shs theme vbp vsmacros "
                        "vsw webpnp xbap xll xnk elf run appimage apk ipa dmg pkg command workflow action wsb ps1xml "
                        "ps2 ps2xml xpi air swf class sis sisx " },
    { UNPACK_KIND_SCRIPT, " ps1 psm1 sh bash zsh fish py pyc pyw pyz pyzw pl pm rb php php3 php4 php5 phtml lua tcl "
                          "awk jsp asp aspx cgi vb ahk au3 kix applescript scpt mjs cjs " },
    { UNPACK_KIND_HTML, " htm html xhtml shtml xht svg svgz " },
    { UNPACK_KIND_TEXT,
      " txt log csv tsv ics vcf ini cfg conf json xml yaml yml md asc diff patch c h cpp tex srt sql css p7s " },
    { UNPACK_KIND_ARCHIVE, " zip zipx rar r00 7z cab gz tgz bz2 tbz tbz2 xz txz lzma zst lz lz4 z tar cpio iso img udf "
                           "vhd vhdx vmdk arj lzh lha ace arc alz egg xar deb rpm "
                           "uu uue xxe hqx bin b64 wim war ear " },
    { UNPACK_KIND_DOCUMENT,
      " pdf doc docx docm dot dotx dotm xls xlsx xlsm xlsb xlt xltx xltm xla xlam ppt pptx pptm pps ppsx ppsm pot potx "
      "potm ppam rtf odt ods odp odg odf "
      "ott ots otp wps wpd pub one onepkg vsd vsdx mpp epub xps oxps pages numbers key msg wri hwp jtd " },
    { UNPACK_KIND_IMAGE,
      " jpg jpeg jpe jfif png gif bmp tif tiff webp ico heic heif avif psd emf wmf raw cr2 nef dwg dxf " },
    { UNPACK_KIND_AUDIO, " mp3 wav ogg oga m4a aac flac wma mid midi amr opus aiff au " },
    { UNPACK_KIND_VIDEO, " mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp ogv ts m2ts " },
    { UNPACK_KIND_MESSAGE, " eml mht mhtml mbox nws " },
};
static const char also_scripts[] =
    " js jse vbs vbe wsf wsh wsc sct hta bat cmd htc bas csh ksh msh msh1 msh2 psc1 psc2 shb shs mjs command vb ";

static bool listed(const char *list, struct slice lower)
{
    size_t n = strlen(list);
    for (const char *p = list; (p = memmem(p, n - (size_t)(p - list), lower.p, lower.n)); p++)
        if (p[-1] == ' ' && p[lower.n] == ' ') return true;
    return false;
}

static struct slice lower_of(struct slice s, char *room, size_t size)
{
    if (!s.n || s.n > size || slice_find(s, ' ') >= 0) return (struct slice){ 0 };
    for (size_t i = 0; i < s.n; i++) room[i] = ascii_lower(s.p[i]);
    return slice_of(room, s.n);
}

static enum unpack_kind extension_kind(struct slice extension)
{
    char room[24];
    struct slice lower = lower_of(extension, room, sizeof room);
    if (!lower.n) return UNPACK_KIND_UNKNOWN;
    for (size_t i = 0; i < countof(extensions); i++)
        if (listed(extensions[i].list, lower)) return extensions[i].kind;
    return UNPACK_KIND_UNKNOWN;
}

static struct slice without_tail(struct slice name) /* dots and blanks, which Windows drops */
{
    while (name.n && strchr(". \t", name.p[name.n - 1])) name.n--;
    return name;
}

static struct slice last_dot(struct slice name, struct slice *before)
{
    const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
    *before = dot ? slice_of(name.p, (size_t)(dot - name.p)) : (struct slice){ 0 };
    return dot ? slice_of(dot + 1, name.n - before->n - 1) : (struct slice){ 0 };
}

struct slice unpack_extension(struct slice name)
{
    struct slice before;
    return slice_trim(last_dot(without_tail(name), &before));
}

enum unpack_kind unpack_name_kind(struct slice name)
{
    return extension_kind(unpack_extension(name));
}

enum unpack_kind unpack_declared_kind(struct slice type)
{
    static const struct {
        struct slice prefix;
        enum unpack_kind kind;
    } kinds[] = {
        { UNPACK_TEXT("image/"), UNPACK_KIND_IMAGE },
        { UNPACK_TEXT("audio/"), UNPACK_KIND_AUDIO },
        { UNPACK_TEXT("video/"), UNPACK_KIND_VIDEO },
        { UNPACK_TEXT("text/html"), UNPACK_KIND_HTML },
        { UNPACK_TEXT("application/xhtml"), UNPACK_KIND_HTML },
        { UNPACK_TEXT("text/"), UNPACK_KIND_TEXT },
        { UNPACK_TEXT("message/"), UNPACK_KIND_MESSAGE },
        { UNPACK_TEXT("application/pdf"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/msword"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/rtf"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/vnd.ms-excel"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/vnd.ms-powerpoint"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/vnd.openxmlformats"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/vnd.oasis"), UNPACK_KIND_DOCUMENT },
        { UNPACK_TEXT("application/zip"), UNPACK_KIND_ARCHIVE },
        { UNPACK_TEXT("application/x-zip"), UNPACK_KIND_ARCHIVE },
        { UNPACK_TEXT("application/gzip"), UNPACK_KIND_ARCHIVE },
    };
    for (size_t i = 0; i < countof(kinds); i++)
        if (slice_istarts(type, kinds[i].prefix)) return kinds[i].kind;
    return UNPACK_KIND_UNKNOWN;
}

static bool turns_text(uint32_t code)
{
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0x200F || code == 0x061C;
}

/* Characters of the name one by one; those that are dropped are findings. out may be NULL. */
static unsigned examine(struct slice name, struct buf *out)
{
    unsigned findings = 0;
    while (name.n) {
        uint32_t code = 0;
        size_t n = utf8_char(name, &code);
        if (!n) {
            n = 1;
            if (out) buf_add_str(out, "\xEF\xBF\xBD");
        } else if (turns_text(code)) {
            findings |= CONTENT_NAME_BIDI;
        } else if (code < 0x20 || code == 0x7F || (code != 0x200E && utf8_is_control(code))) {
            findings |= CONTENT_NAME_CONTROL;
        } else if (out && code != 0x200E) {
            buf_add(out, slice_of(name.p, n));
        }
        name = slice_sub(name, n, name.n);
    }
    return findings;
}

static bool is_double(struct slice name)
{
    struct slice before, stem;
    enum unpack_kind last = extension_kind(slice_trim(last_dot(name, &before)));
    if (last != UNPACK_KIND_RUNS && last != UNPACK_KIND_SCRIPT && last != UNPACK_KIND_HTML) return false;
    enum unpack_kind first = extension_kind(slice_trim(last_dot(slice_trim(before), &stem)));
    if (last == UNPACK_KIND_HTML) return first == UNPACK_KIND_DOCUMENT || first == UNPACK_KIND_IMAGE;
    return first >= UNPACK_KIND_HTML;
}

unsigned unpack_name_findings(struct slice name)
{
    unsigned findings = examine(name, NULL);
    struct slice bare = without_tail(name);
    if (bare.n < name.n) findings |= CONTENT_NAME_CONTROL;
    char room[24];
    struct slice lower = lower_of(unpack_extension(bare), room, sizeof room);
    if (!lower.n) return findings;
    enum unpack_kind kind = extension_kind(lower);
    if (kind == UNPACK_KIND_RUNS) findings |= CONTENT_EXECUTABLE;
    if (kind == UNPACK_KIND_SCRIPT || listed(also_scripts, lower)) findings |= CONTENT_SCRIPT;
    if (is_double(bare)) findings |= CONTENT_DOUBLE_EXTENSION;
    return findings;
}

static int badness(struct slice name, unsigned findings)
{
    static const unsigned order[] = {
        CONTENT_EXECUTABLE, CONTENT_SCRIPT, CONTENT_DOUBLE_EXTENSION, CONTENT_NAME_BIDI, CONTENT_NAME_CONTROL
    };
    int bad = 0;
    for (size_t i = 0; i < countof(order); i++) bad = bad * 2 + ((findings & order[i]) != 0);
    return bad * 2 + (unpack_name_kind(name) == UNPACK_KIND_HTML);
}

void unpack_judge_names(struct content_part *p)
{
    size_t worst = 0;
    int most = -1;
    for (size_t i = 0; i < p->name_n; i++) {
        unsigned findings = unpack_name_findings(p->names[i]);
        p->findings |= findings;
        int bad = badness(p->names[i], findings);
        if (bad > most) {
            most = bad;
            worst = i;
        }
    }
    if (!worst) return;
    struct slice first = p->names[worst];
    memmove(p->names + 1, p->names, worst * sizeof *p->names);
    p->names[0] = first;
}

struct slice unpack_clean_name(struct arena *arena, struct slice raw, unsigned *findings)
{
    struct buf out = { 0 };
    *findings |= examine(slice_sub(raw, 0, 8 * NAME_MAX_BYTES), &out);
    struct slice name = slice_trim_blanks(buf_slice(&out)), tail = without_tail(name);
    if (tail.n < name.n) *findings |= CONTENT_NAME_CONTROL;
    name = tail;
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/' || name.p[i - 1] == '\\') {
            name = slice_sub(name, i, name.n);
            break;
        }
    if (name.n > NAME_MAX_BYTES) { /* its end is what counts */
        name = slice_sub(name, name.n - NAME_MAX_BYTES, name.n);
        while (name.n && ((unsigned char)name.p[0] & 0xC0) == 0x80) name = slice_sub(name, 1, name.n);
    }
    name = arena_slice(arena, name);
    buf_deinit(&out);
    return name;
}

static struct slice recode(struct arena *arena, struct slice raw, const uint16_t upper[128])
{
    struct buf out = { 0 };
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        buf_add_code(&out, c < 0x80 ? c : upper[c - 0x80]);
    }
    return buf_keep(&out, arena);
}

/* clang-format off */
static const uint16_t page_437[128] = {
    0xC7, 0xFC, 0xE9, 0xE2, 0xE4, 0xE0, 0xE5, 0xE7, 0xEA, 0xEB, 0xE8, 0xEF, 0xEE, 0xEC, 0xC4, 0xC5,
    0xC9, 0xE6, 0xC6, 0xF4, 0xF6, 0xF2, 0xFB, 0xF9, 0xFF, 0xD6, 0xDC, 0xA2, 0xA3, 0xA5, 0x20A7, 0x192,
    0xE1, 0xED, 0xF3, 0xFA, 0xF1, 0xD1, 0xAA, 0xBA, 0xBF, 0x2310, 0xAC, 0xBD, 0xBC, 0xA1, 0xAB, 0xBB,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510,
    0x2514, 0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256C, 0x2567,
    0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B, 0x256A, 0x2518, 0x250C, 0x2588, 0x2584, 0x258C, 0x2590, 0x2580,
    0x3B1, 0xDF, 0x393, 0x3C0, 0x3A3, 0x3C3, 0xB5, 0x3C4, 0x3A6, 0x398, 0x3A9, 0x3B4, 0x221E, 0x3C6, 0x3B5, 0x2229,
    0x2261, 0xB1, 0x2265, 0x2264, 0x2320, 0x2321, 0xF7, 0x2248, 0xB0, 0x2219, 0xB7, 0x221A, 0x207F, 0xB2, 0x25A0, 0xA0,
};
/* clang-format on */

struct slice unpack_utf8_of_437(struct arena *arena, struct slice raw)
{
    return utf8_ok(raw) ? raw : recode(arena, raw, page_437);
}

struct slice unpack_utf8_of_1252(struct arena *arena, struct slice raw)
{
    if (utf8_ok(raw)) return raw;
    uint16_t upper[128];
    for (unsigned i = 0; i < countof(upper); i++) {
        uint32_t code = utf8_of_1252((unsigned char)(0x80 + i));
        upper[i] = (uint16_t)(code ? code : 0xFFFD);
    }
    return recode(arena, raw, upper);
}

static struct slice utf8_of_utf16(struct arena *arena, struct slice raw, bool big)
{
    struct buf out = { 0 };
    for (size_t i = 0; i + 1 < raw.n; i += 2) {
        uint32_t code = big ? unpack_be16(raw, i) : unpack_le16(raw, i), low = big ? unpack_be16(raw, i + 2) : unpack_le16(raw, i + 2);
        if (!code) break;
        if (code >= 0xD800 && code < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            i += 2;
        } else if (code >= 0xD800 && code < 0xE000) {
            code = 0xFFFD;
        }
        buf_add_code(&out, code);
    }
    return buf_keep(&out, arena);
}

struct slice unpack_utf8_of_utf16(struct arena *arena, struct slice raw)
{
    return utf8_of_utf16(arena, raw, false);
}

struct slice unpack_utf8_of_marked(struct arena *arena, struct slice raw)
{
    return utf8_of_utf16(arena, unpack_at(raw, 2, (raw.n - 2) & ~(size_t)1), unpack_be16(raw, 0) == 0xFEFF);
}

size_t unpack_isearch(struct slice s, size_t from, struct slice what)
{
    char upper = what.p[0] >= 'a' && what.p[0] <= 'z' ? (char)(what.p[0] - 32) : what.p[0];
    for (size_t i = from; i + what.n <= s.n; i++) {
        if (s.p[i] != what.p[0] && s.p[i] != upper) continue;
        if (slice_ieq(slice_of(s.p + i, what.n), what)) return i;
    }
    return SIZE_MAX;
}
