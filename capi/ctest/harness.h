/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the C tests share: checks that name their line, agents on a network of their own, and
 * waiting for records with a deadline. Each test is one program that ends with 0. */
#ifndef X0X_HARNESS_H
#define X0X_HARNESS_H

#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "x0x.h"
#include "x0x_msgpack.h"

#define SOON_MS 20000 /* how long to wait for what must happen; never how long it takes */

static inline void die(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    fflush(stderr);
    _exit(1);
}

#define CHECK(cond)                                  \
    do {                                             \
        if (!(cond))                                 \
            die(__FILE__, __LINE__, "not: " #cond);  \
    } while (0)

/* A call has exactly this status. */
#define STATUS(want, call)                                                                        \
    do {                                                                                          \
        int32_t got_ = (call), want_ = (want);                                                    \
        if (got_ != want_) {                                                                      \
            char text_[512];                                                                      \
            snprintf(text_, sizeof text_, "%s is %s, want %s", #call, x0x_status_name(got_),      \
                     x0x_status_name(want_));                                                     \
            die(__FILE__, __LINE__, text_);                                                       \
        }                                                                                         \
    } while (0)

#define OK(call) STATUS(X0X_OK, call)

static inline uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The folder of the local registry, given to every test by its driver. */
static inline const char *runtime_dir(void)
{
    const char *dir = getenv("X0X_TEST_RUNTIME_DIR");
    CHECK(dir != NULL);
    return dir;
}

/* Options of an agent that meets only those of this process. */
static inline x0x_options test_options(void)
{
    static char network[64];
    snprintf(network, sizeof network, "ctest-%d", (int)getpid());
    x0x_options o = {.size = sizeof o, .network_id = network, .runtime_dir = runtime_dir()};
    return o;
}

static inline uint64_t new_queue(void)
{
    uint64_t q;
    OK(x0x_queue_new(NULL, &q, NULL));
    return q;
}

static inline uint64_t new_agent(uint64_t queue)
{
    x0x_options o = test_options();
    x0x_err err = {.size = sizeof err};
    uint64_t a;
    int32_t s = x0x_open(&o, queue, &a, &err);
    if (s != X0X_OK)
        die(__FILE__, __LINE__, err.message);
    return a;
}

/* One reader of a queue: what was drained and is not looked at yet. */
struct reader {
    uint64_t queue;
    size_t bytes;
    const x0x_record *next;
    _Alignas(8) unsigned char buf[1 << 16];
};

/* The next record, or NULL after timeout_ms. It is valid until the call after. */
static inline const x0x_record *next_record(struct reader *r, uint32_t timeout_ms)
{
    uint64_t end = now_ms() + timeout_ms;
    for (;;) {
        if (r->next != NULL) {
            const x0x_record *record = r->next;
            r->next = x0x_record_next(r->buf, r->bytes, record);
            return record;
        }
        uint64_t now = now_ms();
        if (x0x_queue_wait(r->queue, now < end ? (uint32_t)(end - now) : 0) != X0X_OK)
            return NULL;
        uint32_t records;
        int32_t s = x0x_queue_drain(r->queue, r->buf, sizeof r->buf, &r->bytes, &records);
        CHECK(s == X0X_OK || s == X0X_S_MORE);
        r->next = x0x_record_first(r->buf, r->bytes);
    }
}

/* The status of a completion, CLOSED, DISCONNECTED or FATAL record. */
static inline int32_t record_status(const x0x_record *r)
{
    x0x_reader m = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    x0x_read_array(&m);
    if (r->kind == X0X_R_DISCONNECTED) {
        x0x_read_skip(&m);
        x0x_read_skip(&m);
    }
    int64_t status = x0x_read_int(&m);
    CHECK(!m.failed);
    return (int32_t)status;
}

/* Skips records until one of this kind and id, and fails without one. */
static inline const x0x_record *await_record(struct reader *r, int kind, uint64_t id)
{
    uint64_t end = now_ms() + SOON_MS;
    for (;;) {
        uint64_t now = now_ms();
        const x0x_record *record = next_record(r, now < end ? (uint32_t)(end - now) : 0);
        if (record == NULL) {
            fprintf(stderr, "no record of kind %d with id %" PRIx64 "\n", kind, id);
            die(__FILE__, __LINE__, "timeout");
        }
        if (record->kind == kind && record->id == id)
            return record;
    }
}

static inline int32_t await_completion(struct reader *r, uint64_t token)
{
    return record_status(await_record(r, X0X_R_COMPLETION, token));
}

/* Starts a call that does not end by itself for seconds: a dial to a socket that never answers.
 * The agent must have joined. */
static inline void start_endless_call(uint64_t agent, uint64_t token, uint64_t *op)
{
    static int silent = -1;
    static char address[32];
    if (silent < 0) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof in;
        silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(silent >= 0 && bind(silent, (struct sockaddr *)&in, len) == 0);
        CHECK(getsockname(silent, (struct sockaddr *)&in, &len) == 0);
        snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(in.sin_port));
    }
    unsigned char args[64];
    x0x_writer w = x0x_writer_init(args, sizeof args);
    x0x_write_array(&w, 1);
    x0x_write_str(&w, address, strlen(address));
    OK(x0x_call(agent, X0X_M_CONNECT_ADDRESS, args, w.len, token, op, NULL));
}

static inline void join(uint64_t agent, struct reader *r)
{
    OK(x0x_call(agent, X0X_M_JOIN, NULL, 0, UINT64_MAX, NULL, NULL));
    OK(await_completion(r, UINT64_MAX));
}

/* At the end of every test: everything closes, nothing is left. */
static inline void all_closed(void)
{
    OK(x0x_shutdown_wait(SOON_MS));
    CHECK(x0x_live_handles(X0X_KIND_ANY) == 0);
}

#endif
