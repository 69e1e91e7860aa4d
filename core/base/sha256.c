/* sha256.c - see sha256.h. */
#include "base/sha256.h"

#include <glib.h>
#include <string.h>

void qn_sha256_hex(const char *data, size_t size, char out[static QN_SHA256_HEX])
{
    GChecksum *checksum = g_checksum_new(G_CHECKSUM_SHA256);
    while (size > 0) { /* GLib takes signed sizes */
        size_t part = size < G_MAXSSIZE ? size : G_MAXSSIZE;
        g_checksum_update(checksum, (const guchar *)data, (gssize)part);
        data += part;
        size -= part;
    }
    memcpy(out, g_checksum_get_string(checksum), QN_SHA256_HEX);
    g_checksum_free(checksum);
}
