/* Costs of the boundary, as JSON lines: a call into Go and back, a publish that completes, a
 * drained message.
 *
 *     bench [CALLS]
 */
#include "harness.h"

static void report(const char *name, uint64_t ns, uint64_t n)
{
    printf("{\"bench\":\"capi/%s\",\"ns\":%.1f,\"per_second\":%.0f}\n", name, (double)ns / (double)n, 1e9 * (double)n / (double)ns);
}

/* Reads until `want` records of one kind came. */
static void drain_until(uint64_t q, int kind, uint64_t want, uint64_t *got)
{
    static _Alignas(8) unsigned char buf[X0X_DRAIN_HINT];
    size_t n;
    uint32_t records;
    while (*got < want) {
        OK(x0x_queue_wait(q, SOON_MS));
        int32_t s = x0x_queue_drain(q, buf, sizeof buf, &n, &records);
        CHECK(s == X0X_OK || s == X0X_S_MORE);
        for (const x0x_record *r = x0x_record_first(buf, n); r; r = x0x_record_next(buf, n, r))
            *got += r->kind == kind;
    }
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, start, sub, inbox, got;
    uint64_t q = new_queue(), a = new_agent(q);
    uint8_t id[X0X_ID_SIZE];
    static const char payload[100];

    start = now_ns();
    for (uint64_t i = 0; i < n; i++)
        CHECK(x0x_abi_version() == X0X_ABI_VERSION);
    report("call without Go", now_ns() - start, n);

    start = now_ns();
    for (uint64_t i = 0; i < n; i++)
        CHECK(x0x_handle_kind(a) == X0X_KIND_AGENT);
    report("call into Go and back", now_ns() - start, n);

    static _Alignas(8) unsigned char buf[64];
    size_t bytes;
    uint32_t records;
    start = now_ns();
    for (uint64_t i = 0; i < n; i++)
        OK(x0x_queue_drain(q, buf, sizeof buf, &bytes, &records));
    report("drain of an empty queue", now_ns() - start, n);

    /* Messages to itself through the inbox: sent, completed and received. */
    OK(x0x_agent_id(a, id));
    OK(x0x_inbox_open(a, 0, &inbox, NULL));
    uint64_t sends = n / 5, received = 0;
    start = now_ns();
    for (uint64_t i = 0; i < sends;) {
        uint64_t batch = sends - i < 500 ? sends - i : 500;
        for (uint64_t k = 0; k < batch; k++, i++)
            OK(x0x_send(a, id, payload, sizeof payload, 0, 0, i, NULL, NULL));
        drain_until(q, X0X_R_DIRECT, i, &received);
    }
    report("direct message to itself, completed and received", now_ns() - start, sends);
    OK(x0x_handle_close(inbox));

    /* Draining alone: messages that wait. */
    x0x_sub_options o = {.size = sizeof o, .max_messages = 100000, .max_bytes = 64 << 20, .credit = X0X_CREDIT_NONE};
    OK(x0x_subscribe(a, "local:bench", 11, &o, &sub, NULL));
    uint64_t messages = n / 10 < 100000 ? n / 10 : 100000, completions = 0;
    for (uint64_t i = 0; i < messages;) {
        uint64_t batch = messages - i < 1000 ? messages - i : 1000, until = completions + batch;
        for (uint64_t k = 0; k < batch; k++, i++)
            OK(x0x_publish(a, "local:bench", 11, payload, sizeof payload, 0, i, NULL, NULL));
        drain_until(q, X0X_R_COMPLETION, until, &completions);
    }
    OK(x0x_credit_add(sub, (uint32_t)messages));
    got = 0;
    start = now_ns();
    drain_until(q, X0X_R_MESSAGE, messages, &got);
    report("drained message of 100 bytes", now_ns() - start, messages);
    all_closed();
    return 0;
}
