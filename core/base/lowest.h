/* lowest.h - the lowest byte of some: one below a space tells of control characters. Header only. */
#pragma once

#include <stddef.h>

enum { QN_LOWEST_STRIDE = 256 };

/* 0xff if there is none. Whole strides without a way out, so that compilers look at many bytes at a time. */
static inline unsigned char qn_lowest_byte(const void *data, size_t size)
{
    const unsigned char *at = data;
    unsigned char low = 0xff;
    for (; size >= QN_LOWEST_STRIDE; at += QN_LOWEST_STRIDE, size -= QN_LOWEST_STRIDE) {
        for (size_t i = 0; i < QN_LOWEST_STRIDE; i++) low = at[i] < low ? at[i] : low;
    }
    for (size_t i = 0; i < size; i++) low = at[i] < low ? at[i] : low;
    return low;
}
