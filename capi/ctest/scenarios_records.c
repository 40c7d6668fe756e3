/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "scenarios.h"

#include <poll.h>

uint32_t time_left(const struct run *r)
{
    uint64_t now = now_ms();
    return now < r->deadline ? (uint32_t)(r->deadline - now) : 0;
}

static int wait_for_records(struct run *r, uint32_t timeout_ms)
{
    int32_t fd, s;
    if (!r->polls) {
        s = x0x_queue_wait(r->queue, timeout_ms);
        if (s != X0X_OK && s != X0X_S_AGAIN)
            fail(r, "x0x_queue_wait: %s", x0x_status_name(s));
        return s == X0X_OK;
    }
    if ((s = x0x_queue_fd(r->queue, &fd)) != X0X_OK)
        fail(r, "x0x_queue_fd: %s", x0x_status_name(s));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, (int)timeout_ms) > 0;
}

static struct box *box_of(struct run *r, uint64_t handle)
{
    for (struct actor *a = r->actors; a < r->actors + r->actor_count; a++) {
        if (a->agent.handle == handle)
            return &a->agent;
        if (a->inbox.handle == handle)
            return &a->inbox;
        for (int i = 0; i < a->sub_count; i++)
            if (a->subs[i].box.handle == handle)
                return &a->subs[i].box;
    }
    fail(r, "a record of handle %llx, which nobody opened", (unsigned long long)handle);
}

/* Puts one record where it belongs. */
static void deliver(struct run *r, const x0x_record *at)
{
    x0x_record *copy = keep(r, at->bytes);
    memcpy(copy, at, at->bytes);
    if (at->bytes % 8 != 0 || sizeof *at + (size_t)at->meta_len + at->payload_len > at->bytes)
        fail(r, "a record of %u bytes cannot hold %u and %u", at->bytes, at->meta_len, at->payload_len);
    if (at->kind == X0X_R_COMPLETION) {
        uint64_t i = at->id - r->first_token;
        if (i >= r->op_count || !r->ops[i].accepted || r->ops[i].completion != NULL)
            fail(r, "a completion with token %llu, which is owed nothing", (unsigned long long)at->id);
        r->ops[i].completion = copy;
        return;
    }
    struct box *b = box_of(r, at->id);
    if (b->closed)
        fail(r, "a record of kind %d after the last of its handle", at->kind);
    if (at->kind == X0X_R_FATAL)
        fail(r, "a defect inside the library");
    if (at->kind == X0X_R_CLOSED) {
        b->closed = 1;
        return;
    }
    if (b->pulls && at->kind != X0X_R_LAGGED) {
        if (b->credit == 0)
            fail(r, "a message that no credit allowed");
        b->credit--;
    }
    struct item *item = keep(r, sizeof *item);
    *item = (struct item){.r = copy};
    if (b->first == NULL)
        b->first = item;
    else
        b->last->next = item;
    b->last = item;
}

int pump(struct run *r, uint32_t timeout_ms)
{
    if (!wait_for_records(r, timeout_ms))
        return 0;
    for (;;) {
        size_t n;
        uint32_t records, seen = 0;
        int32_t s = x0x_queue_drain(r->queue, r->buf, r->cap, &n, &records);
        if (s == X0X_E_TOO_SMALL && n > r->cap) {
            free(r->buf);
            r->cap = n;
            if ((r->buf = malloc(n)) == NULL)
                fail(r, "no memory for a record of %zu bytes", n);
            continue;
        }
        if (s != X0X_OK && s != X0X_S_MORE)
            fail(r, "x0x_queue_drain: %s", x0x_status_name(s));
        for (const x0x_record *at = x0x_record_first(r->buf, n); at != NULL; at = x0x_record_next(r->buf, n, at), seen++)
            deliver(r, at);
        if (seen != records)
            fail(r, "x0x_queue_drain counts %u records, there are %u", records, seen);
        if (s == X0X_OK)
            return 1;
    }
}

struct item *box_pop(struct box *b)
{
    struct item *item = b->first;
    if (item != NULL)
        b->first = item->next;
    return item;
}

const x0x_record *box_next(struct run *r, struct box *b, uint32_t timeout_ms)
{
    uint64_t end = now_ms() + timeout_ms;
    for (;;) {
        struct item *item = box_pop(b);
        if (item != NULL)
            return item->r;
        if (b->closed)
            return NULL;
        if (b->pulls && b->credit == 0) {
            int32_t s = x0x_credit_add(b->handle, 1);
            if (s == X0X_OK)
                b->credit = 1;
            else if (s != X0X_E_CLOSED) /* then its last record is on the way */
                fail(r, "x0x_credit_add: %s", x0x_status_name(s));
        }
        uint64_t now = now_ms();
        if (!pump(r, now < end ? (uint32_t)(end - now) : 0) && now_ms() >= end)
            return NULL;
    }
}

void begin_ops(struct run *r, size_t n)
{
    r->first_token += r->op_count; /* never used again */
    r->ops = keep(r, n * sizeof *r->ops);
    memset(r->ops, 0, n * sizeof *r->ops);
    r->op_count = n;
}

int32_t status_of(const x0x_record *r)
{
    x0x_reader m = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    x0x_read_array(&m);
    return (int32_t)x0x_read_int(&m);
}

/* The error part of a completion: (status, flags, message, details). */
static void note_error(struct run *r, const x0x_record *c)
{
    size_t len;
    x0x_reader m = x0x_reader_init(x0x_record_meta(c), c->meta_len);
    x0x_read_array(&m);
    r->err.code = (int32_t)x0x_read_int(&m);
    r->err.flags = (uint32_t)x0x_read_uint(&m);
    const char *text = x0x_read_str(&m, &len);
    if (m.failed || !(c->flags & X0X_RF_ERROR))
        fail(r, "a failed completion without a text or its flag");
    snprintf(r->err.message, sizeof r->err.message, "%.*s", (int)(len < 200 ? len : 200), text);
}

int32_t end_ops(struct run *r, x0x_reader *last)
{
    int32_t first = X0X_OK;
    uint64_t end = r->deadline + 5000; /* the library ends operations by itself: that is under test */
    for (size_t i = 0; i < r->op_count; i++) {
        struct op *op = &r->ops[i];
        if (!op->accepted)
            continue;
        while (op->completion == NULL) {
            uint64_t now = now_ms();
            if (!pump(r, now < end ? (uint32_t)(end - now) : 0) && now_ms() >= end)
                fail(r, "operation %zu of the step never completed", i + 1);
        }
        int32_t s = status_of(op->completion);
        if (s != X0X_OK && first == X0X_OK) {
            note_error(r, op->completion);
            first = s;
        }
        if (last != NULL) {
            *last = x0x_reader_init(x0x_record_meta(op->completion), op->completion->meta_len);
            x0x_read_array(last);
            x0x_read_int(last);
        }
    }
    return first;
}

int32_t ask(struct run *r, uint64_t handle, uint32_t method, const x0x_writer *args, x0x_reader *out)
{
    size_t cap = 16, n = 0; /* mostly too small: asking again with the size it gives is under test */
    for (int tries = 0; tries < 10; tries++) {
        void *p = keep(r, cap);
        int32_t s = x0x_call_now(handle, method, args ? args->buf : NULL, args ? args->len : 0, p, cap, &n, &r->err);
        if (s == X0X_OK && out != NULL)
            *out = x0x_reader_init(p, n);
        if (s != X0X_E_TOO_SMALL)
            return s;
        if (n <= cap)
            fail(r, "%zu bytes are too small for %zu", cap, n);
        cap = n;
    }
    fail(r, "the result of method %u never fits", method);
}
