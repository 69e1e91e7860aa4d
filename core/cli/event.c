#include "cli/event.h"

#include <string.h>

#include "base/buf.h"

void cli_event_open(struct cli_event *event, const char *json, size_t size)
{
    struct qn_bytes *bytes = qn_bytes_new(json, size);

    event->doc = NULL;
    event->next = 0;
    if (!bytes) return;
    if (qn_doc_parse(bytes, &event->doc, NULL) < 0) event->doc = NULL;
    qn_bytes_unref(bytes);
}

void cli_event_close(struct cli_event *event)
{
    qn_doc_unref(event->doc);
    event->doc = NULL;
}

bool cli_event_member(struct cli_event *event, const char *name, qn_node *out)
{
    return event->doc && qn_doc_kind(event->doc, QN_ROOT) == QN_OBJECT &&
           qn_doc_find(event->doc, QN_ROOT, name, strlen(name), out);
}

const char *cli_event_node_text(struct cli_event *event, qn_node node)
{
    char *text = event->texts[event->next++ % 4];
    struct qn_buf buf;
    size_t size;

    text[0] = 0;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    if (qn_doc_kind(event->doc, node) == QN_STRING) {
        if (qn_doc_string(event->doc, node, &buf) < 0) goto out;
    } else if (qn_doc_kind(event->doc, node) != QN_NULL) {
        struct qn_span span = qn_doc_span(event->doc, node);
        if (qn_buf_add(&buf, span.data, span.size) < 0) goto out;
    }
    size = buf.size < sizeof event->texts[0] - 1 ? buf.size : sizeof event->texts[0] - 1;
    while (size > 0 && size < buf.size && ((unsigned char)buf.data[size] & 0xC0) == 0x80) size--; /* whole characters */
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)buf.data[i];
        text[i] = byte < 0x20 || byte == 0x7F ? ' ' : (char)byte;
    }
    text[size] = 0;
out:
    qn_buf_free(&buf);
    return text;
}

const char *cli_event_text(struct cli_event *event, const char *name)
{
    qn_node node;

    return cli_event_member(event, name, &node) ? cli_event_node_text(event, node) : "";
}

int64_t cli_event_integer(struct cli_event *event, const char *name, int64_t otherwise)
{
    qn_node node;
    int64_t value;

    if (!cli_event_member(event, name, &node) || qn_doc_kind(event->doc, node) != QN_NUMBER) return otherwise;
    if (qn_doc_integer(event->doc, node, &value) == QN_INTEGER_EXACT) return value;
    return (int64_t)qn_doc_double(event->doc, node, NULL);
}

bool cli_event_is(struct cli_event *event, const char *type)
{
    qn_node node;

    return cli_event_member(event, "type", &node) && qn_doc_kind(event->doc, node) == QN_STRING &&
           qn_doc_string_equals(event->doc, node, type, strlen(type));
}
