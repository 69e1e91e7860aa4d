/* link.h - the Link header (RFC 8288): where the first link of a relation type leads. Pure. Any thread. (fuzzed) */
#pragma once

#include <stddef.h>

#include "base/err.h"

/* value: the header's text; of several headers of that name, their texts joined with commas. rel: one relation type;
 * letter case does not matter. 1 and the target as it is written (borrowed from value, not resolved), 0 if there is
 * no such link, QN_ESYNTAX with the offset of what is no list of links. Links with an `anchor` are about another
 * resource and are passed over; so is whatever follows the link that was found. */
int qn_link_find(const char *value, size_t size, const char *rel, const char **target, size_t *target_size,
                 struct qn_err *err);
