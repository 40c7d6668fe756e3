/* The C peer of `make demo`: greets on a topic and answers each greeting with a direct message.
 *
 *     demo_peer NAME --network ID --runtime-dir DIR --peers N --timeout SECONDS
 *
 * It prints one JSON object per line for the driver, waits for a line on stdin before it joins,
 * and for the end of stdin before it goes. Exit codes: 0 done, 1 usage, 2 failure, 3 told to
 * go before it began.
 */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "x0x.h"
#include "x0x_msgpack.h"

#define MAX_PEERS 16
#define MAX_NAME 64

static const char *name;
static uint64_t queue, agent;

struct peer {
    uint8_t id[X0X_ID_SIZE];
    char name[MAX_NAME];
};
static struct peer greeted[MAX_PEERS]; /* operation token = index + FIRST_SEND */
static int peers, greetings, sent, received;
enum { JOIN = 1, PUBLISH, FIRST_SEND };

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", name, what, why);
    exit(2);
}

static void check(int32_t status, const x0x_err *err, const char *what)
{
    if (status != X0X_OK)
        fail(what, err ? err->message : x0x_status_name(status));
}

static const char *hex(const uint8_t *id)
{
    static char text[2 * X0X_ID_SIZE + 1];
    for (int i = 0; i < X0X_ID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    return text;
}

/* The string value of a key in a flat JSON object without escapes, which is all that the demo
 * sends. */
static int json_string(const char *json, size_t len, const char *key, char *out, size_t cap)
{
    char pattern[32], text[512];
    if (len >= sizeof text)
        return 0;
    memcpy(text, json, len);
    text[len] = 0;
    snprintf(pattern, sizeof pattern, "\"%s\"", key);
    const char *p = strstr(text, pattern);
    if (p == NULL)
        return 0;
    p += strlen(pattern);
    p += strspn(p, " :");
    if (*p++ != '"')
        return 0;
    size_t n = strcspn(p, "\"\\");
    if (p[n] != '"' || n >= cap)
        return 0;
    memcpy(out, p, n);
    out[n] = 0;
    return 1;
}

static void greeting(const uint8_t *sender, const x0x_record *r)
{
    char text[2 * MAX_NAME + 64];
    x0x_err err = {.size = sizeof err};
    for (int i = 0; i < greetings; i++)
        if (memcmp(greeted[i].id, sender, X0X_ID_SIZE) == 0)
            return;
    if (greetings == peers)
        fail("greeting", "more agents than expected");
    struct peer *p = &greeted[greetings];
    memcpy(p->id, sender, X0X_ID_SIZE);
    if (!json_string(x0x_record_payload(r), r->payload_len, "name", p->name, sizeof p->name))
        fail("greeting", "it has no name");
    printf("{\"event\":\"greeting\",\"from\":\"%s\",\"name\":\"%s\"}\n", hex(sender), p->name);
    int n = snprintf(text, sizeof text, "{\"text\":\"hello %s, this is %s\"}", p->name, name);
    check(x0x_send(agent, sender, text, (size_t)n, 0, 30000, (uint64_t)(FIRST_SEND + greetings), NULL, &err), &err, "send");
    greetings++;
}

static void completion(const x0x_record *r)
{
    x0x_reader meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    size_t len;
    x0x_read_array(&meta);
    int32_t status = (int32_t)x0x_read_int(&meta);
    if (r->flags & X0X_RF_ERROR) {
        char why[256];
        (void)x0x_read_uint(&meta);
        const char *text = x0x_read_str(&meta, &len);
        snprintf(why, sizeof why, "%s: %.*s", x0x_status_name(status), (int)len, text ? text : "");
        fail("operation", why);
    }
    if (r->id < FIRST_SEND)
        return;
    const struct peer *to = &greeted[r->id - FIRST_SEND];
    x0x_read_array(&meta);
    const char *path = x0x_read_str(&meta, &len);
    uint64_t rtt = x0x_read_uint(&meta);
    printf("{\"event\":\"sent\",\"to\":\"%s\",\"name\":\"%s\",\"path\":\"%.*s\",\"rtt_us\":%llu}\n",
           hex(to->id), to->name, (int)len, path ? path : "", (unsigned long long)rtt);
    sent++;
}

static void record(const x0x_record *r, const uint8_t *self)
{
    x0x_reader meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    const uint8_t *sender;
    char text[256];
    size_t len;
    switch (r->kind) {
    case X0X_R_COMPLETION:
        completion(r);
        break;
    case X0X_R_MESSAGE:
    case X0X_R_DIRECT:
        x0x_read_array(&meta);
        sender = x0x_read_bin(&meta, &len);
        if (sender == NULL || len != X0X_ID_SIZE)
            fail("message", "it has no sender");
        if (r->kind == X0X_R_MESSAGE) {
            if (memcmp(sender, self, X0X_ID_SIZE) != 0)
                greeting(sender, r);
            break;
        }
        if (!json_string(x0x_record_payload(r), r->payload_len, "text", text, sizeof text))
            fail("direct message", "it has no text");
        printf("{\"event\":\"received\",\"from\":\"%s\",\"text\":\"%s\"}\n", hex(sender), text);
        received++;
        break;
    case X0X_R_FATAL:
        fail("library", "a defect");
    }
}

int main(int argc, char **argv)
{
    const char *network = NULL, *runtime_dir = NULL;
    long seconds = 30;
    peers = 3;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--network") == 0)
            network = argv[i + 1];
        else if (strcmp(argv[i], "--runtime-dir") == 0)
            runtime_dir = argv[i + 1];
        else if (strcmp(argv[i], "--peers") == 0)
            peers = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--timeout") == 0)
            seconds = atol(argv[i + 1]);
        else
            argc = 0;
    }
    if (argc < 2 || argc % 2 != 0 || peers < 1 || peers > MAX_PEERS || strlen(argv[1]) >= MAX_NAME) {
        fprintf(stderr, "usage: demo_peer NAME --network ID --runtime-dir DIR --peers N --timeout SECONDS\n");
        return 1;
    }
    name = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);

    x0x_err err = {.size = sizeof err};
    x0x_options options = {.size = sizeof options, .network_id = network, .runtime_dir = runtime_dir};
    uint64_t sub, inbox;
    uint8_t self[X0X_ID_SIZE];
    check(x0x_queue_new(NULL, &queue, &err), &err, "queue");
    check(x0x_open(&options, queue, &agent, &err), &err, "open");
    check(x0x_subscribe(agent, "demo/greetings", 14, NULL, &sub, &err), &err, "subscribe");
    check(x0x_inbox_open(agent, X0X_CREDIT_UNLIMITED, &inbox, &err), &err, "inbox");
    check(x0x_agent_id(agent, self), NULL, "id");
    printf("{\"event\":\"open\",\"name\":\"%s\",\"id\":\"%s\"}\n", name, hex(self));

    char line[64];
    if (fgets(line, sizeof line, stdin) == NULL)
        return 3;
    char hello[MAX_NAME + 32];
    int n = snprintf(hello, sizeof hello, "{\"name\":\"%s\"}", name);
    check(x0x_call(agent, X0X_M_JOIN, NULL, 0, JOIN, NULL, &err), &err, "join");
    check(x0x_publish(agent, "demo/greetings", 14, hello, (size_t)n, 0, PUBLISH, NULL, &err), &err, "publish");

    /* The descriptor is for programs that have a loop of their own, as here with poll. */
    int32_t fd;
    check(x0x_queue_fd(queue, &fd), NULL, "descriptor");
    time_t end = time(NULL) + seconds;
    static _Alignas(8) unsigned char buf[X0X_DRAIN_HINT];
    while (sent < peers || received < peers) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (time(NULL) >= end)
            fail("demo", "the time is over");
        if (poll(&ready, 1, 1000) <= 0)
            continue;
        size_t bytes;
        uint32_t records;
        int32_t status;
        do {
            status = x0x_queue_drain(queue, buf, sizeof buf, &bytes, &records);
            if (status != X0X_OK && status != X0X_S_MORE)
                check(status, NULL, "drain");
            for (const x0x_record *r = x0x_record_first(buf, bytes); r; r = x0x_record_next(buf, bytes, r))
                record(r, self);
        } while (status == X0X_S_MORE);
    }
    printf("{\"event\":\"done\"}\n");
    while (fgets(line, sizeof line, stdin) != NULL) /* until the others are done, too */
        ;
    check(x0x_close_wait(agent, 5000), NULL, "close");
    check(x0x_handle_close(queue), NULL, "close queue");
    return 0;
}
