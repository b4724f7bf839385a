/* SPDX-License-Identifier: Apache-2.0
 * Prints how GMime reads messages, as JSON, a line each: for each part in order its type, name, and the decoded bytes' number and
 * beginning. To hold our own reading against. */
#include <fcntl.h>
#include <gmime/gmime.h>
#include <jansson.h>
#include <stdio.h>

static void print_part(GMimeObject *o, json_t *list);

static void print_leaf(GMimePart *p, json_t *of)
{
    GMimeStream *mem = g_mime_stream_mem_new();
    GMimeDataWrapper *content = g_mime_part_get_content(p);
    if (content) g_mime_data_wrapper_write_to_stream(content, mem);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(mem));
    char start[33] = "";
    for (guint i = 0; i < 16 && i < bytes->len; i++) snprintf(start + (size_t)2 * i, 3, "%02x", bytes->data[i]);
    json_object_set_new(of, "size", json_integer(bytes->len));
    json_object_set_new(of, "start", json_string(start));
    const char *name = g_mime_part_get_filename(p);
    if (name && g_utf8_validate(name, -1, NULL)) json_object_set_new(of, "name", json_string(name));
    g_object_unref(mem);
}

static void print_part(GMimeObject *o, json_t *list)
{
    GMimeContentType *type = g_mime_object_get_content_type(o);
    char *text = g_mime_content_type_get_mime_type(type), *lower = g_ascii_strdown(text, -1);
    json_t *of = json_object();
    json_object_set_new(of, "declared", g_utf8_validate(lower, -1, NULL) ? json_string(lower) : json_string("?"));
    json_array_append_new(list, of);
    g_free(lower);
    g_free(text);
    if (GMIME_IS_MULTIPART(o)) {
        for (int i = 0; i < g_mime_multipart_get_count(GMIME_MULTIPART(o)); i++) print_part(g_mime_multipart_get_part(GMIME_MULTIPART(o), i), list);
    } else if (GMIME_IS_MESSAGE_PART(o)) {
        GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
        if (inner && g_mime_message_get_mime_part(inner)) print_part(g_mime_message_get_mime_part(inner), list);
    } else if (GMIME_IS_PART(o))
        print_leaf(GMIME_PART(o), of);
}

static void print_message(const char *file)
{
    GMimeStream *stream = g_mime_stream_file_open(file, "r", NULL);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
    json_t *list = json_array(), *j = json_pack("{s:o}", "parts", list);
    if (m && g_mime_message_get_mime_part(m)) print_part(g_mime_message_get_mime_part(m), list);
    const char *subject = m ? g_mime_message_get_subject(m) : NULL;
    if (subject && g_utf8_validate(subject, -1, NULL)) json_object_set_new(j, "subject", json_string(subject));
    json_dumpf(j, stdout, JSON_COMPACT);
    puts("");
    json_decref(j);
    if (m) g_object_unref(m);
    g_object_unref(parser);
    g_object_unref(stream);
}

int main(int argc, char **argv)
{
    g_mime_init();
    for (int i = 1; i < argc; i++) print_message(argv[i]);
    g_mime_shutdown();
    return 0;
}
