/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the files of the scenario runner share:
 *
 *     scenarios.c          reads the list, runs it, compares results, counts
 *     scenarios_calls.c    the meaning of every call of the list
 *     scenarios_records.c  the queue: records sorted by the handle that they concern
 *     json.c               reading the file
 *
 * One thread. A fault that no expected error covers (a wrong record, a scenario that cannot
 * be run as it is written) ends the scenario through fail(), which does not return. */
#ifndef X0X_SCENARIOS_H
#define X0X_SCENARIOS_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "x0x.h"
#include "x0x_msgpack.h"

#define STEP_MS 20000          /* what a step may take: far above what any needs, the machine may be busy */
#define MOST_BYTES (64u << 20) /* of one payload; a typo must not take the memory */
#define MOST_ACTORS 8
#define MOST_SUBS 16 /* in one scenario */
#define MOST_SAVED 8

struct bytes {
    const void *p;
    size_t n;
};

/* A record of the library, copied out of the drain buffer. It lives as long as the scenario. */
struct item {
    struct item *next;
    const x0x_record *r;
};

/* What one handle has told and nobody has looked at. */
struct box {
    uint64_t handle;
    struct item *first, *last;
    int pulls;       /* it delivers nothing before credit is given */
    uint32_t credit; /* given and not used */
    int closed;      /* its X0X_R_CLOSED came: nothing follows it */
};

struct sub {
    const char *name; /* of the list */
    struct box box;
};

struct actor {
    const char *name;
    const json *spec;
    int open, closed;
    uint8_t agent_id[X0X_ID_SIZE], machine_id[X0X_ID_SIZE];
    struct box agent, inbox; /* inbox.handle 0: not opened yet */
    struct sub subs[MOST_SUBS];
    int sub_count;
};

enum field_type { F_ID, F_BYTES, F_WORD, F_BOOL, F_NUMBER };

struct field {
    const char *name;
    enum field_type type;
    uint8_t id[X0X_ID_SIZE];
    struct bytes bytes; /* F_BYTES */
    const char *word;   /* F_WORD */
    uint64_t number;    /* F_NUMBER, F_BOOL */
};

struct result {
    struct field fields[8];
    int count;
};

/* One operation of the current step; its token is the first of the step plus its index. */
struct op {
    int accepted;
    const x0x_record *completion;
};

struct run {
    const json *scenario;
    char network[64], dir[64], runtime[80], home[80];
    int polls; /* waits through the descriptor instead of x0x_queue_wait */
    uint64_t queue;
    struct actor actors[MOST_ACTORS];
    int actor_count;
    struct {
        const char *name;
        struct result result;
    } saved[MOST_SAVED];
    int saved_count;

    struct {
        const char *name;
        struct bytes b;
    } texts[MOST_SAVED]; /* signatures and links that steps keep by name */
    int text_count;

    uint64_t deadline; /* of the step */
    x0x_err err;       /* of the last call that took one */
    uint64_t first_token;
    struct op *ops;
    size_t op_count;

    void *buf; /* drain buffer */
    size_t cap;
    struct kept *kept; /* memory of the scenario */

    jmp_buf failed;
    char why[512];
};

/* scenarios.c */
_Noreturn void fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t now_ms(void);
void *keep(struct run *r, size_t n); /* memory until the scenario ends */
struct actor *actor_by_name(struct run *r, const char *name);
struct bytes value_bytes(struct run *r, const json *v); /* none is no bytes */
struct bytes value_numbered(struct run *r, const json *v, uint64_t index);
void value_id(struct run *r, const json *v, uint8_t id[X0X_ID_SIZE]);
const char *value_text(struct run *r, const json *v); /* an option; NULL for none */
int level_of(struct run *r, const json *v);
extern const char *const level_names[4];
uint64_t get_number(struct run *r, const json *object, const char *name, uint64_t otherwise);
int64_t get_signed(struct run *r, const json *object, const char *name, int64_t otherwise);
int get_bool(struct run *r, const json *object, const char *name, int otherwise);

/* scenarios_records.c */
uint32_t time_left(const struct run *r);
int pump(struct run *r, uint32_t timeout_ms); /* 0 when nothing came */
struct item *box_pop(struct box *b);
const x0x_record *box_next(struct run *r, struct box *b, uint32_t timeout_ms); /* NULL: nothing came, or closed */
void begin_ops(struct run *r, size_t n);
int32_t end_ops(struct run *r, x0x_reader *last); /* the first error, after all have completed */
int32_t status_of(const x0x_record *r);
int32_t ask(struct run *r, uint64_t handle, uint32_t method, const x0x_writer *args, x0x_reader *out);

/* scenarios_calls.c */
int32_t open_actor(struct run *r, struct actor *a);
int32_t run_call(struct run *r, struct actor *a, const json *step, struct result *out);
const char *call_args(const char *call); /* the names of its arguments, NULL for an unknown call */
const char *first_address(struct run *r, struct actor *a);
extern const char spec_names[];

#endif
