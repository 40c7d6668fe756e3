/* Random calls from several threads over random handles (open, stale, of a wrong kind, 0, the
 * largest), with random lengths and NULLs, for some milliseconds:
 *
 *     spin MILLISECONDS [SEED]
 *
 * Whatever happens: no crash, no call that hangs, every operation that was accepted completes
 * once, nothing follows the closing record of its handle, and in the end no handle is left. */
#include "harness.h"

#include <stdatomic.h>

#define THREADS 4
#define KINDS 6
#define HANDLES 128 /* of each kind, the latest */
#define TOKENS (1u << 22)

static _Atomic uint64_t handles[KINDS][HANDLES];
static atomic_uint next_handle[KINDS];
static atomic_uchar owed[TOKENS]; /* 1: its call was accepted or is under way, 2: completed */
static atomic_uint next_token, completed, calls;
static _Atomic uint64_t busy_since[THREADS];
static atomic_int stop;
static uint64_t queues[2];
static uint8_t ids[64][X0X_ID_SIZE];
static atomic_uint next_id;

struct random {
    uint64_t state;
};

static uint32_t draw(struct random *r, uint32_t below) /* xorshift64* */
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static void keep(int32_t status, uint64_t h)
{
    unsigned kind = (unsigned)(h >> 48);
    if (status == X0X_OK) {
        CHECK(kind > 0 && kind < KINDS);
        atomic_store(&handles[kind][atomic_fetch_add(&next_handle[kind], 1) % HANDLES], h);
    }
}

/* Usually a late handle of the kind, else an older one, one of any kind, or none at all. */
static uint64_t pick(struct random *r, uint32_t kind)
{
    static const uint64_t odd[] = {0, 1, UINT64_MAX, UINT64_C(1) << 52, UINT64_C(3) << 48};
    if (kind == X0X_KIND_QUEUE && draw(r, 4) > 0)
        return queues[draw(r, 2)];
    if (draw(r, 32) == 0)
        return odd[draw(r, sizeof odd / sizeof *odd)];
    if (draw(r, 16) == 0)
        kind = 1 + draw(r, KINDS - 1);
    unsigned made = atomic_load(&next_handle[kind]);
    if (made == 0)
        return odd[draw(r, sizeof odd / sizeof *odd)];
    unsigned back = draw(r, draw(r, 4) ? 8 : HANDLES);
    return atomic_load(&handles[kind][(made - 1 - (back < made ? back : 0)) % HANDLES]);
}

/* Notes a token before its call and forgets it if that fails. Tokens come round again when the
 * operation that had them before is over. */
static unsigned owe(void)
{
    for (;;) {
        unsigned token = atomic_fetch_add(&next_token, 1) % TOKENS;
        unsigned char is = atomic_load(&owed[token]);
        if (is != 1 && atomic_compare_exchange_strong(&owed[token], &is, 1))
            return token;
    }
}

static void accepted(int32_t status, unsigned token, const uint64_t *op_out)
{
    if (status == X0X_OK) {
        if (op_out != NULL)
            keep(status, *op_out);
        return;
    }
    CHECK(atomic_load(&owed[token]) == 1); /* a call that failed has no completion */
    atomic_store(&owed[token], 0);
}

static pthread_mutex_t reading[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

/* Handles whose closing record came. */
#define CLOSED_BITS 20
static uint64_t closed_set[2][1u << CLOSED_BITS];
static unsigned closed_count[2];

static int closed_before(int which, uint64_t h, int add)
{
    uint64_t *set = closed_set[which];
    for (uint64_t i = (h * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - CLOSED_BITS);; i = (i + 1) & ((1u << CLOSED_BITS) - 1)) {
        if (set[i] == h)
            return 1;
        if (set[i] == 0) {
            if (add && closed_count[which] < (1u << CLOSED_BITS) / 2) {
                set[i] = h;
                closed_count[which]++;
            }
            return 0;
        }
    }
}

static unsigned drain(int which, size_t cap)
{
    static _Alignas(8) unsigned char bufs[2][1 << 18];
    size_t n = 0;
    uint32_t records = 0;
    if (pthread_mutex_trylock(&reading[which]) != 0) {
        int32_t s = x0x_queue_drain(queues[which], bufs[which], 0, &n, &records); /* races with the one who reads */
        CHECK(s == X0X_OK || s == X0X_E_BUSY || s == X0X_E_TOO_SMALL);
        return 0;
    }
    int32_t s = x0x_queue_drain(queues[which], bufs[which], cap, &n, &records);
    CHECK(s == X0X_OK || s == X0X_S_MORE || s == X0X_E_BUSY || (s == X0X_E_TOO_SMALL && n > cap));
    if (s != X0X_OK && s != X0X_S_MORE)
        n = 0;
    unsigned seen = 0;
    for (const x0x_record *rec = x0x_record_first(bufs[which], n); rec; rec = x0x_record_next(bufs[which], n, rec)) {
        x0x_reader m = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
        x0x_read_skip(&m);
        CHECK(x0x_reader_done(&m) && rec->bytes % 8 == 0);
        seen++;
        if (rec->kind == X0X_R_COMPLETION) {
            CHECK(rec->id < TOKENS);
            CHECK(atomic_exchange(&owed[rec->id], 2) == 1);
            atomic_fetch_add(&completed, 1);
            continue;
        }
        CHECK(!closed_before(which, rec->id, rec->kind == X0X_R_CLOSED));
    }
    CHECK(s == X0X_E_BUSY || s == X0X_E_TOO_SMALL || seen == records);
    pthread_mutex_unlock(&reading[which]);
    return seen;
}

static void on_wake(void *user) { (void)user; }

static void step(struct random *r)
{
    static unsigned char junk[1 << 16];
    static const char *const topics[] = {"a", "b", "local:c", ""};
    _Alignas(8) unsigned char out[512];
    unsigned char args[96];
    uint64_t h = 0, *op = draw(r, 2) ? &h : NULL;
    size_t n;
    int32_t fd, s;
    x0x_err err = {.size = draw(r, 8) ? (uint32_t)sizeof err : draw(r, 400)}, *e = draw(r, 2) ? &err : NULL;
    const char *topic = topics[draw(r, 4)];
    size_t topic_len = draw(r, 8) ? strlen(topic) : 0;
    size_t len = draw(r, 4) ? draw(r, 200) : draw(r, sizeof junk);
    const void *payload = draw(r, 16) ? junk : NULL;
    uint64_t a = pick(r, X0X_KIND_AGENT);
    unsigned token;
    x0x_writer w = x0x_writer_init(args, sizeof args);
    switch (draw(r, 26)) {
    case 0: {
        x0x_options o = test_options();
        o.max_operations = draw(r, 100);
        o.inbox_messages = draw(r, 20);
        if (draw(r, 10) == 0)
            o.size = draw(r, sizeof o);
        if (x0x_live_handles(X0X_KIND_AGENT) > 8) { /* room for new ones, before they are out of sight */
            x0x_close(atomic_load(&handles[X0X_KIND_AGENT][draw(r, HANDLES)]), 1);
            break;
        }
        s = x0x_open(&o, pick(r, X0X_KIND_QUEUE), &h, e);
        keep(s, h);
        if (s == X0X_OK)
            x0x_agent_id(h, ids[atomic_fetch_add(&next_id, 1) % 64]);
        break;
    }
    case 1: {
        x0x_sub_options o = {.size = sizeof o, .flags = draw(r, 3), .max_messages = draw(r, 50), .policy = draw(r, 3), .credit = draw(r, 3) - 1};
        s = x0x_subscribe(a, topic, topic_len, draw(r, 2) ? &o : NULL, draw(r, 20) ? &h : NULL, e);
        keep(h ? s : X0X_S_AGAIN, h);
        break;
    }
    case 2:
        s = x0x_inbox_open(a, draw(r, 3), draw(r, 20) ? &h : NULL, e);
        keep(h ? s : X0X_S_AGAIN, h);
        break;
    case 3:
        x0x_handle_close(pick(r, X0X_KIND_SUBSCRIPTION + draw(r, 3)));
        break;
    case 4:
        if (draw(r, 20) == 0)
            x0x_close_wait(a, 1 + draw(r, 20));
        else if (draw(r, 10) == 0)
            x0x_close(a, draw(r, 5));
        break;
    case 5: case 6: case 7: case 8: case 9:
        token = owe();
        accepted(x0x_publish(a, topic, topic_len, payload, len, draw(r, 1000), token, op, e), token, op);
        break;
    case 10: case 11: case 12: case 13:
        token = owe();
        accepted(x0x_send(a, draw(r, 30) ? ids[draw(r, 64)] : NULL, payload, len, draw(r, 5), 1 + draw(r, 200), token, op, e), token, op);
        break;
    case 14: case 15: case 16:
        token = owe();
        if (draw(r, 2)) {
            x0x_write_array(&w, 1 + draw(r, 2));
            x0x_write_bin(&w, ids[draw(r, 64)], draw(r, 10) ? X0X_ID_SIZE : draw(r, X0X_ID_SIZE));
            x0x_write_uint(&w, 1 + draw(r, 100));
        } else { /* garbage */
            for (w.len = draw(r, sizeof args); fd = (int32_t)w.len, w.len > 0; w.len--)
                args[w.len - 1] = (unsigned char)draw(r, 256);
            w.len = draw(r, sizeof args);
        }
        accepted(x0x_call(a, draw(r, 7), draw(r, 20) ? args : NULL, w.len, token, op, e), token, op);
        break;
    case 17:
        x0x_op_cancel(pick(r, X0X_KIND_OPERATION));
        break;
    case 18:
        x0x_credit_add(pick(r, X0X_KIND_SUBSCRIPTION + draw(r, 2)), draw(r, 3) ? draw(r, 10) : UINT32_MAX);
        break;
    case 19:
        x0x_write_array(&w, 1);
        x0x_write_bin(&w, ids[draw(r, 64)], X0X_ID_SIZE);
        x0x_call_now(pick(r, 1 + draw(r, 5)), (draw(r, 2) ? 100 : 200) + draw(r, 14), args, draw(r, 2) ? w.len : 0,
                     draw(r, 8) ? out : NULL, draw(r, sizeof out), draw(r, 20) ? &n : NULL, e);
        break;
    case 20:
        x0x_queue_set_wake(pick(r, X0X_KIND_QUEUE), draw(r, 2) ? on_wake : NULL, NULL);
        break;
    case 21:
        x0x_queue_fd(pick(r, X0X_KIND_QUEUE), &fd);
        x0x_handle_kind(pick(r, 1 + draw(r, 5)));
        break;
    case 22:
        x0x_queue_wait(pick(r, X0X_KIND_QUEUE), draw(r, 2));
        break;
    case 23:
        drain((int)draw(r, 2), draw(r, 1 << 16));
        break;
    case 24:
        x0x_log_to_queue(pick(r, X0X_KIND_QUEUE), draw(r, 2) ? X0X_LOG_DEBUG : X0X_LOG_OFF);
        break;
    case 25: { /* a queue of its own, closed again or refused while somebody is attached */
        x0x_queue_options o = {.size = sizeof o, .event_limit = draw(r, 10), .log_limit = draw(r, 10)};
        if (x0x_queue_new(&o, &h, e) == X0X_OK)
            x0x_handle_close(h);
        x0x_agent_id(a, out);
        x0x_machine_id(a, out);
        break;
    }
    }
}

static void *worker(void *arg)
{
    int index = *(int *)arg;
    struct random r = {.state = ((uint64_t *)arg)[1] | 1};
    while (!atomic_load(&stop)) {
        atomic_store(&busy_since[index], now_ms());
        step(&r);
        atomic_fetch_add(&calls, 1);
    }
    atomic_store(&busy_since[index], 0);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    uint64_t end = now_ms() + strtoul(argv[1], NULL, 10);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : now_ns();
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    queues[0] = new_queue();
    queues[1] = new_queue();
    pthread_t threads[THREADS];
    uint64_t params[THREADS][2];
    for (int i = 0; i < THREADS; i++) {
        params[i][0] = (uint64_t)i;
        params[i][1] = seed * 1000003 + (uint64_t)i * 7919;
        CHECK(pthread_create(&threads[i], NULL, worker, params[i]) == 0);
    }
    while (now_ms() < end && !atomic_load(&stop)) {
        drain(0, 1 << 18); /* the largest record fits: one that does not holds up the rest */
        drain(1, 1 << 18);
        usleep(200);
        for (int i = 0; i < THREADS; i++) {
            uint64_t since = atomic_load(&busy_since[i]);
            if (since != 0 && now_ms() > since + SOON_MS)
                die(__FILE__, __LINE__, "a call hangs");
        }
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    /* Close all agents, read what they still tell, and look whether anything is owed. */
    for (unsigned i = 0; i < HANDLES; i++)
        x0x_close(atomic_load(&handles[X0X_KIND_AGENT][i]), 10);
    for (uint64_t deadline = now_ms() + SOON_MS;;) {
        unsigned left = 0;
        drain(0, 1 << 18);
        drain(1, 1 << 18);
        for (unsigned t = 0; t < TOKENS; t++)
            left += atomic_load(&owed[t]) == 1;
        if (left == 0)
            break;
        if (now_ms() > deadline) {
            fprintf(stderr, "%u operations never completed\n", left);
            die(__FILE__, __LINE__, "owed");
        }
        usleep(1000);
    }
    all_closed();
    printf("%u calls, %u completions\n", atomic_load(&calls), atomic_load(&completed));
    return 0;
}
