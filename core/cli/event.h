/* event.h - reading one JSON object: an event line or the result of a call. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/doc.h"

struct cli_event {
    struct qn_doc *doc; /* NULL: the text was not a JSON object; every member is absent */
    char texts[4][512]; /* what cli_event_text returned lately */
    unsigned next;
};

void cli_event_open(struct cli_event *event, const char *json, size_t size);
void cli_event_close(struct cli_event *event);
/* A member as text: strings decoded, numbers and booleans as written; "" if absent or null. At most 511 bytes, control
 * characters become spaces. Valid for the next three calls. */
const char *cli_event_text(struct cli_event *event, const char *name);
int64_t cli_event_integer(struct cli_event *event, const char *name, int64_t otherwise);
bool cli_event_is(struct cli_event *event, const char *type);
/* The node of a member of the root object. */
bool cli_event_member(struct cli_event *event, const char *name, qn_node *out);
/* The text of any node of the event, under the same rules. */
const char *cli_event_node_text(struct cli_event *event, qn_node node);
