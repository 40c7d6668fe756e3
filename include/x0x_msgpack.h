/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * x0x_msgpack.h: as much MessagePack as C programs need beside x0x.h, to write the arguments
 * of x0x_call and to read results and the meta arrays of records. C11 and C++17, no library.
 *
 *     unsigned char args[64];
 *     x0x_writer w = x0x_writer_init(args, sizeof args);
 *     x0x_write_array(&w, 2);
 *     x0x_write_bin(&w, agent_id, X0X_ID_SIZE);
 *     x0x_write_uint(&w, 5000);
 *     if (!w.failed)
 *         x0x_call(agent, X0X_M_CONNECT_AGENT, args, w.len, token, NULL, NULL);
 *
 *     x0x_reader r = x0x_reader_init(x0x_record_meta(record), record->meta_len);
 *     x0x_read_array(&r);
 *     int64_t status = x0x_read_int(&r);
 *
 * Both keep to their buffer whatever happens. The first thing that does not fit sets
 * `failed`; from then on writing does nothing and reading gives 0, empty and NULL, so that it
 * is enough to look once at the end. What is read points into the buffer and is not
 * terminated.
 */
#ifndef X0X_MSGPACK_H
#define X0X_MSGPACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- writing */

typedef struct x0x_writer {
    unsigned char *buf;
    size_t cap, len;
    int failed; /* something did not fit */
} x0x_writer;

static inline x0x_writer x0x_writer_init(void *buf, size_t cap)
{
    x0x_writer w;
    w.buf = (unsigned char *)buf;
    w.cap = cap;
    w.len = 0;
    w.failed = 0;
    return w;
}

static inline void x0x_write_raw(x0x_writer *w, const void *p, size_t n)
{
    if (w->failed || n > w->cap - w->len) {
        w->failed = 1;
        return;
    }
    if (n > 0)
        memcpy(w->buf + w->len, p, n);
    w->len += n;
}

/* A type byte and a big-endian number of `width` bytes. */
static inline void x0x_write_head(x0x_writer *w, unsigned type, uint64_t v, unsigned width)
{
    unsigned char b[9];
    unsigned i;
    b[0] = (unsigned char)type;
    for (i = 0; i < width; i++)
        b[1 + i] = (unsigned char)(v >> (8 * (width - 1 - i)));
    x0x_write_raw(w, b, 1 + width);
}

static inline void x0x_write_nil(x0x_writer *w) { x0x_write_head(w, 0xc0, 0, 0); }
static inline void x0x_write_bool(x0x_writer *w, int v) { x0x_write_head(w, v ? 0xc3 : 0xc2, 0, 0); }

static inline void x0x_write_uint(x0x_writer *w, uint64_t v)
{
    if (v < 0x80)
        x0x_write_head(w, (unsigned)v, 0, 0);
    else if (v <= 0xff)
        x0x_write_head(w, 0xcc, v, 1);
    else if (v <= 0xffff)
        x0x_write_head(w, 0xcd, v, 2);
    else if (v <= 0xffffffffu)
        x0x_write_head(w, 0xce, v, 4);
    else
        x0x_write_head(w, 0xcf, v, 8);
}

static inline void x0x_write_array(x0x_writer *w, uint32_t n)
{
    if (n < 16)
        x0x_write_head(w, 0x90u | n, 0, 0);
    else if (n <= 0xffff)
        x0x_write_head(w, 0xdc, n, 2);
    else
        x0x_write_head(w, 0xdd, n, 4);
}

static inline void x0x_write_bin(x0x_writer *w, const void *p, size_t n)
{
    if (n > 0xffffffffu) {
        w->failed = 1;
        return;
    }
    if (n <= 0xff)
        x0x_write_head(w, 0xc4, n, 1);
    else if (n <= 0xffff)
        x0x_write_head(w, 0xc5, n, 2);
    else
        x0x_write_head(w, 0xc6, n, 4);
    x0x_write_raw(w, p, n);
}

static inline void x0x_write_str(x0x_writer *w, const char *s, size_t n)
{
    if (n > 0xffffffffu) {
        w->failed = 1;
        return;
    }
    if (n < 32)
        x0x_write_head(w, 0xa0u | (unsigned)n, 0, 0);
    else if (n <= 0xff)
        x0x_write_head(w, 0xd9, n, 1);
    else if (n <= 0xffff)
        x0x_write_head(w, 0xda, n, 2);
    else
        x0x_write_head(w, 0xdb, n, 4);
    x0x_write_raw(w, s, n);
}

/* ---------------------------------------------------------------- reading */

typedef struct x0x_reader {
    const unsigned char *p, *end;
    int failed; /* cut short, or of another type than was asked for */
} x0x_reader;

static inline x0x_reader x0x_reader_init(const void *buf, size_t len)
{
    x0x_reader r;
    r.p = (const unsigned char *)buf;
    r.end = len > 0 ? r.p + len : r.p;
    r.failed = 0;
    return r;
}

/* Whether everything was read. */
static inline int x0x_reader_done(const x0x_reader *r) { return !r->failed && r->p == r->end; }

/* The next byte without taking it, 0xc1 (which is never used) at the end. */
static inline unsigned x0x_peek(const x0x_reader *r) { return r->failed || r->p == r->end ? 0xc1 : *r->p; }

static inline const void *x0x_read_raw(x0x_reader *r, size_t n)
{
    const unsigned char *at = r->p;
    if (r->failed || n > (size_t)(r->end - r->p)) {
        r->failed = 1;
        return NULL;
    }
    r->p += n;
    return at;
}

/* Takes the type byte and the big-endian number of `width` bytes behind it. */
static inline uint64_t x0x_read_head(x0x_reader *r, unsigned width)
{
    const unsigned char *b = (const unsigned char *)x0x_read_raw(r, 1 + (size_t)width);
    uint64_t v = 0;
    unsigned i;
    if (b == NULL)
        return 0;
    for (i = 0; i < width; i++)
        v = v << 8 | b[1 + i];
    return v;
}

/* Takes a nil and returns 1 if there is one. */
static inline int x0x_read_nil(x0x_reader *r)
{
    if (x0x_peek(r) != 0xc0)
        return 0;
    (void)x0x_read_head(r, 0);
    return 1;
}

static inline int x0x_read_bool(x0x_reader *r)
{
    unsigned c = x0x_peek(r);
    if (c != 0xc2 && c != 0xc3) {
        r->failed = 1;
        return 0;
    }
    (void)x0x_read_head(r, 0);
    return c == 0xc3;
}

static inline uint64_t x0x_read_uint(x0x_reader *r)
{
    unsigned c = x0x_peek(r);
    if (c < 0x80) {
        (void)x0x_read_head(r, 0);
        return c;
    }
    if (c < 0xcc || c > 0xcf) {
        r->failed = 1;
        return 0;
    }
    return x0x_read_head(r, 1u << (c - 0xcc));
}

static inline int64_t x0x_read_int(x0x_reader *r)
{
    unsigned c = x0x_peek(r), width;
    uint64_t v;
    if (c >= 0xe0) {
        (void)x0x_read_head(r, 0);
        return (int64_t)c - 256;
    }
    if (c < 0xd0 || c > 0xd3) {
        v = x0x_read_uint(r);
        if (v > (uint64_t)INT64_MAX) {
            r->failed = 1;
            return 0;
        }
        return (int64_t)v;
    }
    width = 1u << (c - 0xd0);
    v = x0x_read_head(r, width);
    if (width < 8 && (v >> (8 * width - 1)) != 0)
        return (int64_t)v - (int64_t)((uint64_t)1 << (8 * width));
    if (width == 8 && v > (uint64_t)INT64_MAX)
        return -(int64_t)(~v) - 1;
    return (int64_t)v;
}

/* The number of elements, which then follow; of pairs for a map. */
static inline uint32_t x0x_read_container(x0x_reader *r, unsigned fix, unsigned wide)
{
    unsigned c = x0x_peek(r);
    uint64_t n;
    if ((c & 0xf0u) == fix) {
        (void)x0x_read_head(r, 0);
        n = c & 0x0fu;
    } else if (c == wide || c == wide + 1) {
        n = x0x_read_head(r, c == wide ? 2 : 4);
    } else {
        r->failed = 1;
        return 0;
    }
    if (n > (uint64_t)(r->end - r->p)) { /* each takes at least a byte */
        r->failed = 1;
        return 0;
    }
    return (uint32_t)n;
}
static inline uint32_t x0x_read_array(x0x_reader *r) { return x0x_read_container(r, 0x90, 0xdc); }
static inline uint32_t x0x_read_map(x0x_reader *r) { return x0x_read_container(r, 0x80, 0xde); }

static inline const void *x0x_read_bin(x0x_reader *r, size_t *len)
{
    unsigned c = x0x_peek(r);
    const void *p;
    *len = 0;
    if (c < 0xc4 || c > 0xc6) {
        r->failed = 1;
        return NULL;
    }
    *len = (size_t)x0x_read_head(r, 1u << (c - 0xc4));
    p = x0x_read_raw(r, *len);
    if (p == NULL)
        *len = 0;
    return p;
}

static inline const char *x0x_read_str(x0x_reader *r, size_t *len)
{
    unsigned c = x0x_peek(r);
    const char *p;
    *len = 0;
    if (c >= 0xa0 && c <= 0xbf) {
        (void)x0x_read_head(r, 0);
        *len = c & 0x1fu;
    } else if (c >= 0xd9 && c <= 0xdb) {
        *len = (size_t)x0x_read_head(r, 1u << (c - 0xd9));
    } else {
        r->failed = 1;
        return NULL;
    }
    p = (const char *)x0x_read_raw(r, *len);
    if (p == NULL)
        *len = 0;
    return p;
}

/* Takes one value of any type, with what is in it. No recursion: a count of what is left. */
static inline void x0x_read_skip(x0x_reader *r)
{
    uint64_t left = 1;
    size_t len;
    while (left > 0 && !r->failed) {
        unsigned c = x0x_peek(r);
        left--;
        if (c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3)
            (void)x0x_read_head(r, 0);
        else if (c <= 0x8f || c == 0xde || c == 0xdf)
            left += 2 * (uint64_t)x0x_read_map(r);
        else if (c <= 0x9f || c == 0xdc || c == 0xdd)
            left += x0x_read_array(r);
        else if (c <= 0xbf || (c >= 0xd9 && c <= 0xdb))
            (void)x0x_read_str(r, &len);
        else if (c >= 0xc4 && c <= 0xc6)
            (void)x0x_read_bin(r, &len);
        else if (c == 0xca || c == 0xcb)
            (void)x0x_read_head(r, 4u << (c - 0xca));
        else if (c >= 0xcc && c <= 0xcf)
            (void)x0x_read_head(r, 1u << (c - 0xcc));
        else if (c >= 0xd0 && c <= 0xd3)
            (void)x0x_read_head(r, 1u << (c - 0xd0));
        else
            r->failed = 1;
    }
}

#ifdef __cplusplus
}
#endif

#endif /* X0X_MSGPACK_H */
