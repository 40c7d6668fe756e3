/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * x0x_msgpack.h: what a C program needs of MessagePack to use x0x.h: a writer for arguments
 * and a bounded reader for results and for the meta part of records. Header only, no
 * allocation, no state outside the two structs.
 *
 * Writing the arguments of X0X_M_CONNECT_AGENT (agent_id:id, timeout_ms:u32?):
 *
 *     uint8_t buf[64];
 *     x0x_writer w = x0x_writer_init(buf, sizeof buf);
 *     x0x_put_array(&w, 2);
 *     x0x_put_bin(&w, peer, X0X_ID_SIZE);
 *     x0x_put_uint(&w, 5000);
 *     if (w.failed) ...;                          // the buffer was too small
 *     x0x_call(agent, X0X_M_CONNECT_AGENT, buf, w.used, token, NULL, NULL);
 *
 * Reading the meta of an X0X_R_DIRECT record (sender:id, machine_id:id, trust_decision:u8):
 *
 *     x0x_reader r = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
 *     uint32_t n = x0x_get_array(&r);
 *     const uint8_t *sender = x0x_get_bin(&r, &len);
 *     ...
 *     if (r.failed) ...;                          // truncated, or of another type
 *
 * Errors are sticky: after the first one every call does nothing and returns 0 or NULL, so a
 * program checks `failed` once. The reader never reads outside its buffer, whatever the bytes
 * are; what it returns points into the buffer.
 */
#ifndef X0X_MSGPACK_H
#define X0X_MSGPACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct x0x_writer {
    uint8_t *buf;
    size_t cap;
    size_t used;
    int failed; /* the buffer was too small */
} x0x_writer;

static inline x0x_writer x0x_writer_init(void *buf, size_t cap)
{
    x0x_writer w;
    w.buf = (uint8_t *)buf;
    w.cap = cap;
    w.used = 0;
    w.failed = 0;
    return w;
}

static inline void x0x_put_raw(x0x_writer *w, const void *bytes, size_t len)
{
    if (w->failed || len > w->cap - w->used) {
        w->failed = 1;
        return;
    }
    if (len > 0)
        memcpy(w->buf + w->used, bytes, len);
    w->used += len;
}

/* A type byte and a big-endian number of `size` bytes. */
static inline void x0x_put_head(x0x_writer *w, uint8_t type, uint64_t n, int size)
{
    uint8_t head[9];
    int i;
    head[0] = type;
    for (i = 0; i < size; i++)
        head[1 + i] = (uint8_t)(n >> (8 * (size - 1 - i)));
    x0x_put_raw(w, head, 1 + (size_t)size);
}

static inline void x0x_put_nil(x0x_writer *w) { x0x_put_head(w, 0xc0, 0, 0); }
static inline void x0x_put_bool(x0x_writer *w, int v) { x0x_put_head(w, v ? 0xc3 : 0xc2, 0, 0); }

static inline void x0x_put_uint(x0x_writer *w, uint64_t v)
{
    if (v < 0x80)
        x0x_put_head(w, (uint8_t)v, 0, 0);
    else if (v <= UINT8_MAX)
        x0x_put_head(w, 0xcc, v, 1);
    else if (v <= UINT16_MAX)
        x0x_put_head(w, 0xcd, v, 2);
    else if (v <= UINT32_MAX)
        x0x_put_head(w, 0xce, v, 4);
    else
        x0x_put_head(w, 0xcf, v, 8);
}

static inline void x0x_put_array(x0x_writer *w, uint32_t n)
{
    if (n < 16)
        x0x_put_head(w, (uint8_t)(0x90 | n), 0, 0);
    else if (n <= UINT16_MAX)
        x0x_put_head(w, 0xdc, n, 2);
    else
        x0x_put_head(w, 0xdd, n, 4);
}

static inline void x0x_put_bin(x0x_writer *w, const void *bytes, uint32_t len)
{
    if (len <= UINT8_MAX)
        x0x_put_head(w, 0xc4, len, 1);
    else if (len <= UINT16_MAX)
        x0x_put_head(w, 0xc5, len, 2);
    else
        x0x_put_head(w, 0xc6, len, 4);
    x0x_put_raw(w, bytes, len);
}

static inline void x0x_put_str(x0x_writer *w, const char *text, uint32_t len)
{
    if (len < 32)
        x0x_put_head(w, (uint8_t)(0xa0 | len), 0, 0);
    else if (len <= UINT8_MAX)
        x0x_put_head(w, 0xd9, len, 1);
    else if (len <= UINT16_MAX)
        x0x_put_head(w, 0xda, len, 2);
    else
        x0x_put_head(w, 0xdb, len, 4);
    x0x_put_raw(w, text, len);
}

typedef struct x0x_reader {
    const uint8_t *at;
    const uint8_t *end;
    int failed; /* truncated, or of another type than was asked for */
} x0x_reader;

static inline x0x_reader x0x_reader_init(const void *buf, size_t len)
{
    x0x_reader r;
    r.at = (const uint8_t *)buf;
    r.end = r.at + (len > 0 ? len : 0);
    r.failed = 0;
    return r;
}

/* The next `size` bytes as a big-endian number. */
static inline uint64_t x0x_get_number(x0x_reader *r, size_t size)
{
    uint64_t n = 0;
    if (r->failed || size > (size_t)(r->end - r->at)) {
        r->failed = 1;
        return 0;
    }
    for (; size > 0; size--)
        n = n << 8 | *r->at++;
    return n;
}

static inline uint8_t x0x_get_type(x0x_reader *r) { return (uint8_t)x0x_get_number(r, 1); }

/* What comes next, without taking it; 0xc1, which MessagePack never uses, at the end. */
static inline uint8_t x0x_peek_type(const x0x_reader *r) { return r->failed || r->at == r->end ? 0xc1 : *r->at; }

static inline const uint8_t *x0x_get_raw(x0x_reader *r, uint64_t len)
{
    const uint8_t *p = r->at;
    if (r->failed || len > (uint64_t)(r->end - r->at)) {
        r->failed = 1;
        return NULL;
    }
    r->at += (size_t)len;
    return p;
}

/* Takes a nil if one is next, and says whether it did: for optional values. */
static inline int x0x_get_nil(x0x_reader *r)
{
    if (x0x_peek_type(r) != 0xc0)
        return 0;
    r->at++;
    return 1;
}

static inline int x0x_get_bool(x0x_reader *r)
{
    uint8_t t = x0x_get_type(r);
    if (t != 0xc2 && t != 0xc3)
        r->failed = 1;
    return t == 0xc3 && !r->failed;
}

static inline int64_t x0x_get_int(x0x_reader *r)
{
    uint8_t t = x0x_get_type(r);
    uint64_t n;
    if (t < 0x80)
        return t;
    if (t >= 0xe0)
        return (int64_t)t - 256;
    switch (t) {
    case 0xcc: return (int64_t)x0x_get_number(r, 1);
    case 0xcd: return (int64_t)x0x_get_number(r, 2);
    case 0xce: return (int64_t)x0x_get_number(r, 4);
    case 0xcf:
        n = x0x_get_number(r, 8);
        if (n <= INT64_MAX)
            return (int64_t)n;
        break;
    case 0xd0: return (int64_t)(int8_t)x0x_get_number(r, 1);
    case 0xd1: return (int64_t)(int16_t)x0x_get_number(r, 2);
    case 0xd2: return (int64_t)(int32_t)x0x_get_number(r, 4);
    case 0xd3: return (int64_t)x0x_get_number(r, 8);
    default: break;
    }
    r->failed = 1;
    return 0;
}

static inline uint64_t x0x_get_uint(x0x_reader *r)
{
    int64_t v;
    if (x0x_peek_type(r) == 0xcf) {
        r->at++;
        return x0x_get_number(r, 8);
    }
    v = x0x_get_int(r);
    if (v < 0)
        r->failed = 1;
    return r->failed ? 0 : (uint64_t)v;
}

/* The number of elements that follow. Each takes at least a byte, so a larger number than
 * there are bytes is a failure: loops over it are bounded by the buffer. */
static inline uint32_t x0x_get_array(x0x_reader *r)
{
    uint8_t t = x0x_get_type(r);
    uint64_t n;
    if ((t & 0xf0) == 0x90)
        n = t & 0x0f;
    else if (t == 0xdc)
        n = x0x_get_number(r, 2);
    else if (t == 0xdd)
        n = x0x_get_number(r, 4);
    else
        n = UINT64_MAX;
    if (r->failed || n > (uint64_t)(r->end - r->at)) {
        r->failed = 1;
        return 0;
    }
    return (uint32_t)n;
}

/* The number of pairs that follow, as x0x_get_array. */
static inline uint32_t x0x_get_map(x0x_reader *r)
{
    uint8_t t = x0x_get_type(r);
    uint64_t n;
    if ((t & 0xf0) == 0x80)
        n = t & 0x0f;
    else if (t == 0xde)
        n = x0x_get_number(r, 2);
    else if (t == 0xdf)
        n = x0x_get_number(r, 4);
    else
        n = UINT64_MAX;
    if (r->failed || n > (uint64_t)(r->end - r->at) / 2) {
        r->failed = 1;
        return 0;
    }
    return (uint32_t)n;
}

/* Bytes; *len receives their number. Not NUL-terminated. */
static inline const uint8_t *x0x_get_bin(x0x_reader *r, uint32_t *len)
{
    uint8_t t = x0x_get_type(r);
    uint64_t n = 0;
    if (t == 0xc4)
        n = x0x_get_number(r, 1);
    else if (t == 0xc5)
        n = x0x_get_number(r, 2);
    else if (t == 0xc6)
        n = x0x_get_number(r, 4);
    else
        r->failed = 1;
    *len = r->failed || n > (uint64_t)(r->end - r->at) ? 0 : (uint32_t)n;
    return x0x_get_raw(r, n);
}

/* Text in UTF-8; *len receives its number of bytes. Not NUL-terminated. */
static inline const char *x0x_get_str(x0x_reader *r, uint32_t *len)
{
    uint8_t t = x0x_get_type(r);
    uint64_t n = 0;
    if ((t & 0xe0) == 0xa0)
        n = t & 0x1f;
    else if (t == 0xd9)
        n = x0x_get_number(r, 1);
    else if (t == 0xda)
        n = x0x_get_number(r, 2);
    else if (t == 0xdb)
        n = x0x_get_number(r, 4);
    else
        r->failed = 1;
    *len = r->failed || n > (uint64_t)(r->end - r->at) ? 0 : (uint32_t)n;
    return (const char *)x0x_get_raw(r, n);
}

#ifdef __cplusplus
}
#endif

#endif /* X0X_MSGPACK_H */
