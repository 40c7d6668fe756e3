/* Every function with every bad argument has exactly the status that x0x.h gives, and changes
 * nothing. */
#include "harness.h"

static uint64_t queue, agent, sub, inbox, op, closed_sub;
static _Alignas(8) unsigned char buf[4096];
static size_t n;
static uint32_t records;
static uint64_t out;

/* Handles that every function must refuse, whatever kind it wants. */
static const uint64_t never[] = {0, 1, UINT64_MAX, UINT64_C(1) << 53, UINT64_C(9) << 48};

/* One call of each function that takes a handle, otherwise right. */
typedef int32_t (*with_handle)(uint64_t h);
static int32_t f_close(uint64_t h) { return x0x_handle_close(h); }
static int32_t f_kind(uint64_t h) { return x0x_handle_kind(h); }
static int32_t f_fd(uint64_t h) { int32_t fd; return x0x_queue_fd(h, &fd); }
static int32_t f_wait(uint64_t h) { return x0x_queue_wait(h, 0); }
static int32_t f_wake(uint64_t h) { return x0x_queue_set_wake(h, NULL, NULL); }
static int32_t f_drain(uint64_t h) { return x0x_queue_drain(h, buf, sizeof buf, &n, &records); }
static int32_t f_open(uint64_t h) { x0x_options o = test_options(); return x0x_open(&o, h, &out, NULL); }
static int32_t f_aclose(uint64_t h) { return x0x_close(h, 1); }
static int32_t f_close_wait(uint64_t h) { return x0x_close_wait(h, SOON_MS); }
static int32_t f_id(uint64_t h) { return x0x_agent_id(h, buf); }
static int32_t f_machine(uint64_t h) { return x0x_machine_id(h, buf); }
static int32_t f_cancel(uint64_t h) { return x0x_op_cancel(h); }
static int32_t f_call(uint64_t h) { return x0x_call(h, X0X_M_JOIN, NULL, 0, 1, NULL, NULL); }
static int32_t f_now(uint64_t h) { return x0x_call_now(h, X0X_M_IDENTITY, NULL, 0, buf, sizeof buf, &n, NULL); }
static int32_t f_sub_info(uint64_t h) { return x0x_call_now(h, X0X_M_SUBSCRIPTION_INFO, NULL, 0, buf, sizeof buf, &n, NULL); }
static int32_t f_inbox_info(uint64_t h) { return x0x_call_now(h, X0X_M_INBOX_INFO, NULL, 0, buf, sizeof buf, &n, NULL); }
static int32_t f_publish(uint64_t h) { return x0x_publish(h, "t", 1, "p", 1, 0, 1, NULL, NULL); }
static int32_t f_subscribe(uint64_t h) { return x0x_subscribe(h, "t", 1, NULL, &out, NULL); }
static int32_t f_send(uint64_t h) { static const uint8_t id[X0X_ID_SIZE]; return x0x_send(h, id, "p", 1, 0, 0, 1, NULL, NULL); }
static int32_t f_inbox(uint64_t h) { return x0x_inbox_open(h, 0, &out, NULL); }
static int32_t f_credit(uint64_t h) { return x0x_credit_add(h, 1); }
static int32_t f_log(uint64_t h) { return x0x_log_to_queue(h, X0X_LOG_OFF); }

enum { Q = 1 << X0X_KIND_QUEUE, A = 1 << X0X_KIND_AGENT, S = 1 << X0X_KIND_SUBSCRIPTION, I = 1 << X0X_KIND_INBOX, O = 1 << X0X_KIND_OPERATION };

static const struct {
    const char *name;
    with_handle call;
    int kinds; /* that it takes */
} functions[] = {
    {"x0x_handle_close", f_close, Q | A | S | I | O},
    {"x0x_handle_kind", f_kind, Q | A | S | I | O},
    {"x0x_queue_fd", f_fd, Q},
    {"x0x_queue_wait", f_wait, Q},
    {"x0x_queue_set_wake", f_wake, Q},
    {"x0x_queue_drain", f_drain, Q},
    {"x0x_open", f_open, Q},
    {"x0x_close", f_aclose, A},
    {"x0x_close_wait", f_close_wait, A},
    {"x0x_agent_id", f_id, A},
    {"x0x_machine_id", f_machine, A},
    {"x0x_op_cancel", f_cancel, O},
    {"x0x_call", f_call, A},
    {"x0x_call_now", f_now, A},
    {"x0x_call_now subscription", f_sub_info, S},
    {"x0x_call_now inbox", f_inbox_info, I},
    {"x0x_publish", f_publish, A},
    {"x0x_subscribe", f_subscribe, A},
    {"x0x_send", f_send, A},
    {"x0x_inbox_open", f_inbox, A},
    {"x0x_credit_add", f_credit, S | I},
    {"x0x_log_to_queue", f_log, Q},
};

static void is(const char *name, const char *what, int32_t want, int32_t got)
{
    if (want == got)
        return;
    fprintf(stderr, "%s with %s: %s, want %s\n", name, what, x0x_status_name(got), x0x_status_name(want));
    _exit(1);
}

static void bad_handles(void)
{
    const struct {
        const char *name;
        uint64_t h;
        int kind;
    } open[] = {{"a queue", queue, Q}, {"an agent", agent, A}, {"a subscription", sub, S}, {"an inbox", inbox, I}, {"an operation", op, O}};
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
            is(functions[f].name, "a number that never was a handle", X0X_E_BAD_HANDLE, functions[f].call(never[i]));
        for (size_t i = 0; i < sizeof open / sizeof *open; i++)
            if (!(functions[f].kinds & open[i].kind))
                is(functions[f].name, open[i].name, X0X_E_WRONG_KIND, functions[f].call(open[i].h));
        is(functions[f].name, "a closed handle", X0X_E_CLOSED, functions[f].call(closed_sub));
    }
    CHECK(x0x_handle_kind(queue) == X0X_KIND_QUEUE);
    CHECK(x0x_handle_kind(agent) == X0X_KIND_AGENT);
    CHECK(x0x_handle_kind(sub) == X0X_KIND_SUBSCRIPTION);
    CHECK(x0x_handle_kind(inbox) == X0X_KIND_INBOX);
    CHECK(x0x_handle_kind(op) == X0X_KIND_OPERATION);
}

static void bad_pointers(void)
{
    static const uint8_t id[X0X_ID_SIZE];
    int32_t invalid = X0X_E_INVALID_ARGUMENT;
    STATUS(invalid, x0x_build_info(NULL, 10, &n));
    STATUS(invalid, x0x_build_info((char *)buf, sizeof buf, NULL));
    STATUS(invalid, x0x_queue_new(NULL, NULL, NULL));
    STATUS(invalid, x0x_queue_fd(queue, NULL));
    STATUS(invalid, x0x_queue_drain(queue, NULL, 8, &n, &records));
    STATUS(invalid, x0x_queue_drain(queue, buf, sizeof buf, NULL, &records));
    STATUS(invalid, x0x_queue_drain(queue, buf, sizeof buf, &n, NULL));
    STATUS(invalid, x0x_queue_drain(queue, buf + 1, sizeof buf - 1, &n, &records));
    STATUS(invalid, x0x_queue_drain(queue, buf, SIZE_MAX, &n, &records));
    STATUS(invalid, x0x_open(NULL, queue, NULL, NULL));
    STATUS(invalid, x0x_agent_id(agent, NULL));
    STATUS(invalid, x0x_machine_id(agent, NULL));
    STATUS(invalid, x0x_call(agent, X0X_M_JOIN, NULL, 1, 1, NULL, NULL));
    STATUS(invalid, x0x_call(agent, X0X_M_JOIN, buf, SIZE_MAX, 1, NULL, NULL));
    STATUS(invalid, x0x_call_now(agent, X0X_M_IDENTITY, NULL, 1, buf, sizeof buf, &n, NULL));
    STATUS(invalid, x0x_call_now(agent, X0X_M_IDENTITY, NULL, 0, NULL, 1, &n, NULL));
    STATUS(invalid, x0x_call_now(agent, X0X_M_IDENTITY, NULL, 0, buf, sizeof buf, NULL, NULL));
    STATUS(invalid, x0x_publish(agent, NULL, 1, "p", 1, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_publish(agent, "t", 1, NULL, 1, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_publish(agent, "t", 1, "p", SIZE_MAX, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_publish(agent, "a\0b", 3, "p", 1, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_publish(agent, "\xff", 1, "p", 1, 0, 1, NULL, NULL));
    memset(buf, 't', 300);
    STATUS(invalid, x0x_publish(agent, (char *)buf, 257, "p", 1, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_subscribe(agent, NULL, 1, NULL, &out, NULL));
    STATUS(invalid, x0x_subscribe(agent, "t", 1, NULL, NULL, NULL));
    STATUS(invalid, x0x_subscribe(agent, (char *)buf, 257, NULL, &out, NULL));
    STATUS(invalid, x0x_subscribe(agent, "a\0b", 3, NULL, &out, NULL));
    STATUS(invalid, x0x_send(agent, NULL, "p", 1, 0, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_send(agent, id, NULL, 1, 0, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_send(agent, id, "p", 1, 0x80, 0, 1, NULL, NULL));
    STATUS(invalid, x0x_inbox_open(agent, 0, NULL, NULL));

    /* Sizes over the limits are refused before anything is read or copied. */
    STATUS(X0X_E_TOO_LARGE, x0x_send(agent, id, buf, X0X_MAX_DIRECT_PAYLOAD + 1, 0, 0, 1, NULL, NULL));
    STATUS(X0X_E_TOO_LARGE, x0x_publish(agent, "t", 1, buf, X0X_MAX_TOPIC_PAYLOAD + 1, 0, 1, NULL, NULL));
    STATUS(X0X_E_TOO_LARGE, x0x_call(agent, X0X_M_JOIN, buf, (1 << 20) + 1, 1, NULL, NULL));
}

static void bad_options(void)
{
    int32_t invalid = X0X_E_INVALID_ARGUMENT;
    struct {
        x0x_options known;
        unsigned char tail[64];
    } newer;
    memset(&newer, 0, sizeof newer);
    newer.known = test_options();
    newer.known.size = sizeof newer;
    newer.tail[63] = 1;
    STATUS(X0X_E_UNSUPPORTED, x0x_open(&newer.known, queue, &out, NULL));
    newer.tail[63] = 0;
    OK(x0x_open(&newer.known, queue, &out, NULL));
    OK(x0x_close_wait(out, SOON_MS));

    /* A caller who was compiled against the first version: what follows is not read. */
    x0x_options older = test_options();
    older.size = offsetof(x0x_options, active_peers);
    older.active_peers = older.passive_peers = UINT32_MAX;
    OK(x0x_open(&older, queue, &out, NULL));
    OK(x0x_close_wait(out, SOON_MS));

    /* One of ABI 1.1, whose struct ended in padding where visibility is now. */
    older = test_options();
    older.size = offsetof(x0x_options, presence_interval_ms);
    older.visibility = older.presence_interval_ms = UINT32_MAX;
    OK(x0x_open(&older, queue, &out, NULL));
    OK(x0x_close_wait(out, SOON_MS));

    x0x_options o = test_options();
#define REFUSED(field, value)                                \
    do {                                                     \
        x0x_options bad = o;                                 \
        bad.field = (value);                                 \
        out = 7;                                             \
        STATUS(invalid, x0x_open(&bad, queue, &out, NULL));  \
        CHECK(out == 0);                                     \
    } while (0)
    REFUSED(size, 0);
    REFUSED(size, offsetof(x0x_options, active_peers) - 1); /* less than the first version had */
    REFUSED(size, UINT32_MAX);
    REFUSED(flags, 0x80000000u);
    REFUSED(accept_from, 4);
    REFUSED(name, "../evil");
    REFUSED(bind, "nowhere");
    REFUSED(machine_key_len, 32); /* of NULL */
    REFUSED(agent_key_len, SIZE_MAX);
    REFUSED(inbox_bytes, UINT64_MAX);
    REFUSED(go_memory_limit, UINT64_MAX);
    REFUSED(inbox_messages, UINT32_MAX);
    REFUSED(max_operations, UINT32_MAX);
    REFUSED(active_peers, UINT32_MAX);
    REFUSED(passive_peers, UINT32_MAX);
    REFUSED(visibility, 3);
    static char long_text[70000];
    memset(long_text, 'x', sizeof long_text - 1);
    REFUSED(home_dir, long_text);
    REFUSED(bootstrap, long_text);
    o.agent_key_path = "/nonexistent/agent.key";
    STATUS(X0X_E_NOT_FOUND, x0x_open(&o, queue, &out, NULL));

    x0x_queue_options qo = {.size = sizeof qo - 1};
    STATUS(invalid, x0x_queue_new(&qo, &out, NULL));
    qo = (x0x_queue_options){.size = sizeof qo, .log_limit = UINT32_MAX};
    STATUS(invalid, x0x_queue_new(&qo, &out, NULL));
    x0x_sub_options so = {.size = 4};
    STATUS(invalid, x0x_subscribe(agent, "t", 1, &so, &out, NULL));
    so = (x0x_sub_options){.size = sizeof so, .policy = 2};
    STATUS(invalid, x0x_subscribe(agent, "t", 1, &so, &out, NULL));
    so = (x0x_sub_options){.size = sizeof so, .flags = 2};
    STATUS(invalid, x0x_subscribe(agent, "t", 1, &so, &out, NULL));
    so = (x0x_sub_options){.size = sizeof so, .max_bytes = UINT64_MAX};
    STATUS(invalid, x0x_subscribe(agent, "t", 1, &so, &out, NULL));
    CHECK(out == 0);
}

static void methods(void)
{
    STATUS(X0X_E_UNSUPPORTED, x0x_call(agent, 0, NULL, 0, 1, NULL, NULL));
    STATUS(X0X_E_UNSUPPORTED, x0x_call(agent, 12345, NULL, 0, 1, NULL, NULL));
    STATUS(X0X_E_INVALID_ARGUMENT, x0x_call(agent, X0X_M_IDENTITY, NULL, 0, 1, NULL, NULL));
    STATUS(X0X_E_UNSUPPORTED, x0x_call_now(agent, 12345, NULL, 0, buf, sizeof buf, &n, NULL));
    STATUS(X0X_E_INVALID_ARGUMENT, x0x_call_now(agent, X0X_M_JOIN, NULL, 0, buf, sizeof buf, &n, NULL));
    STATUS(X0X_E_INVALID_ARGUMENT, x0x_call(agent, X0X_M_CONNECT_AGENT, NULL, 0, 1, NULL, NULL));
    if (!(x0x_features() & X0X_FEATURE_TEST_PANIC))
        STATUS(X0X_E_UNSUPPORTED, x0x_call_now(agent, X0X_M_TEST_PANIC, NULL, 0, buf, sizeof buf, &n, NULL));

    /* A result that does not fit: the size, and nothing is changed. */
    STATUS(X0X_E_TOO_SMALL, x0x_call_now(agent, X0X_M_IDENTITY, NULL, 0, NULL, 0, &n, NULL));
    size_t need = n;
    buf[need] = 0xee;
    STATUS(X0X_E_TOO_SMALL, x0x_call_now(agent, X0X_M_IDENTITY, NULL, 0, buf, need - 1, &n, NULL));
    OK(x0x_call_now(agent, X0X_M_IDENTITY, NULL, 0, buf, need, &n, NULL));
    CHECK(n == need && buf[need] == 0xee);
    unsigned char args[64];
    uint8_t peer[X0X_ID_SIZE] = {7};
    x0x_writer w = x0x_writer_init(args, sizeof args);
    x0x_write_array(&w, 2);
    x0x_write_bin(&w, peer, sizeof peer);
    x0x_write_uint(&w, X0X_TRUST_TRUSTED);
    STATUS(X0X_E_TOO_SMALL, x0x_call_now(agent, X0X_M_SET_TRUST, args, w.len, NULL, 0, &n, NULL));
    CHECK(n == 1);
    OK(x0x_call_now(agent, X0X_M_CONTACTS, NULL, 0, buf, sizeof buf, &n, NULL));
    CHECK(n == 1 && buf[0] == 0x90); /* no contact was made */
    OK(x0x_call_now(agent, X0X_M_SET_TRUST, args, w.len, buf, 1, &n, NULL));
    OK(x0x_call_now(agent, X0X_M_CONTACTS, NULL, 0, buf, sizeof buf, &n, NULL));
    CHECK(buf[0] == 0x91);

    static const struct {
        const char *topic;
        size_t len;
        uint64_t priority;
        int32_t want;
    } priorities[] = {{"t", 1, X0X_PRIORITY_HIGH, X0X_OK}, {"t", 1, X0X_PRIORITY_NORMAL, X0X_OK}, {"", 0, X0X_PRIORITY_LOW, X0X_OK},
                      {"t", 1, 3, X0X_E_INVALID_ARGUMENT}, {"a\0b", 3, 1, X0X_E_INVALID_ARGUMENT}, {"\xff", 1, 1, X0X_E_INVALID_ARGUMENT}};
    for (size_t i = 0; i < sizeof priorities / sizeof *priorities; i++) {
        w = x0x_writer_init(args, sizeof args);
        x0x_write_array(&w, 2);
        x0x_write_str(&w, priorities[i].topic, priorities[i].len);
        x0x_write_uint(&w, priorities[i].priority);
        STATUS(priorities[i].want, x0x_call_now(agent, X0X_M_SET_TOPIC_PRIORITY, args, w.len, buf, 1, &n, NULL));
    }
}

static void errors(void)
{
    x0x_err err;
    memset(&err, 0xee, sizeof err);
    err.size = sizeof err - 1;
    STATUS(X0X_E_INVALID_ARGUMENT, x0x_queue_new(NULL, &out, &err));
    CHECK((unsigned char)err.message[0] == 0xee);
    err.size = sizeof err;
    STATUS(X0X_E_BAD_HANDLE, x0x_publish(0, "t", 1, NULL, 0, 0, 1, NULL, &err));
    CHECK(err.code == X0X_E_BAD_HANDLE && strlen(err.message) > 0 && strchr(err.message, '\n') == NULL);
    uint64_t q;
    OK(x0x_queue_new(NULL, &q, &err));
    CHECK(err.code == X0X_OK);
    OK(x0x_handle_close(q));
    STATUS(X0X_E_BAD_HANDLE, x0x_publish(0, "t", 1, NULL, 0, 0, 1, &out, &err));
    CHECK(out == 0);

    CHECK(strcmp(x0x_status_name(X0X_E_LAGGED), "X0X_E_LAGGED") == 0);
    CHECK(strcmp(x0x_status_name(-1), "X0X_E_UNKNOWN") == 0);
    CHECK(x0x_abi_version() == X0X_ABI_VERSION);
    CHECK(x0x_live_handles(99) == 0);
    STATUS(X0X_E_TOO_SMALL, x0x_build_info(NULL, 0, &n));
    size_t need = n;
    STATUS(X0X_E_TOO_SMALL, x0x_build_info((char *)buf, need, &n));
    OK(x0x_build_info((char *)buf, need + 1, &n));
    CHECK(strlen((char *)buf) == need && strstr((char *)buf, x0x_version()) != NULL);
}

static void closing_twice(void)
{
    uint64_t q = new_queue(), a = new_agent(q), s;
    OK(x0x_subscribe(a, "t", 1, NULL, &s, NULL));
    STATUS(X0X_E_BUSY, x0x_handle_close(q));
    OK(x0x_handle_close(s));
    STATUS(X0X_E_CLOSED, x0x_handle_close(s));
    OK(x0x_close_wait(a, SOON_MS));
    STATUS(X0X_E_CLOSED, x0x_close_wait(a, SOON_MS));
    STATUS(X0X_E_CLOSED, x0x_close(a, 0));
    STATUS(X0X_E_CLOSED, x0x_handle_close(a));
    OK(x0x_handle_close(q));
    STATUS(X0X_E_CLOSED, x0x_handle_close(q));
}

int main(void)
{
    static struct reader r;
    queue = r.queue = new_queue();
    agent = new_agent(queue);
    join(agent, &r);
    OK(x0x_subscribe(agent, "t", 1, NULL, &sub, NULL));
    OK(x0x_subscribe(agent, "t", 1, NULL, &closed_sub, NULL));
    OK(x0x_handle_close(closed_sub));
    OK(x0x_inbox_open(agent, 0, &inbox, NULL));
    errors();
    bad_pointers();
    bad_options();
    methods();
    start_endless_call(agent, 1, &op);
    bad_handles();
    closing_twice();
    all_closed();
    return 0;
}
