/* Two agents find each other, talk on a topic and send each other direct messages.
 *
 *     cc -std=c11 quickstart.c $(pkg-config --cflags --libs x0x) -o quickstart && ./quickstart
 *
 * Both live in this process to keep the program short; they would find each other just the
 * same from two processes of one user, with no configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <x0x.h>
#include <x0x_msgpack.h>

/* Tokens name operations: their completions carry them. They are ours to choose. */
enum { JOIN_ALICE = 1, JOIN_BOB, PUBLISH, SEND, REPLY };

static void check(int32_t status, const x0x_err *err, const char *what)
{
    if (status == X0X_OK)
        return;
    fprintf(stderr, "%s: %s%s%s\n", what, x0x_status_name(status), err ? ": " : "", err ? err->message : "");
    exit(1);
}

static void print_payload(const char *who, const x0x_record *r)
{
    printf("%s received: %.*s\n", who, (int)r->payload_len, (const char *)x0x_record_payload(r));
}

int main(void)
{
    x0x_err err = {.size = sizeof err};
    uint64_t queue, alice, bob, news, alice_inbox, bob_inbox;

    if (x0x_abi_version() >> 16 != X0X_ABI_MAJOR) {
        fprintf(stderr, "the library is of another major version\n");
        return 1;
    }

    /* One queue tells everything. Options of NULL: a fresh identity in memory. A network id of
     * its own keeps an example away from your real agents. */
    char network[32];
    snprintf(network, sizeof network, "quickstart-%08x", (unsigned)time(NULL));
    x0x_options options = {.size = sizeof options, .network_id = network};
    check(x0x_queue_new(NULL, &queue, &err), &err, "queue");
    check(x0x_open(&options, queue, &alice, &err), &err, "open alice");
    check(x0x_open(&options, queue, &bob, &err), &err, "open bob");
    check(x0x_subscribe(bob, "news", 4, NULL, &news, &err), &err, "subscribe");
    check(x0x_inbox_open(alice, X0X_CREDIT_UNLIMITED, &alice_inbox, &err), &err, "alice's inbox");
    check(x0x_inbox_open(bob, X0X_CREDIT_UNLIMITED, &bob_inbox, &err), &err, "bob's inbox");

    uint8_t alice_id[X0X_ID_SIZE], bob_id[X0X_ID_SIZE];
    check(x0x_agent_id(alice, alice_id), NULL, "alice's id");
    check(x0x_agent_id(bob, bob_id), NULL, "bob's id");

    check(x0x_call(alice, X0X_M_JOIN, NULL, 0, JOIN_ALICE, NULL, &err), &err, "join");
    check(x0x_call(bob, X0X_M_JOIN, NULL, 0, JOIN_BOB, NULL, &err), &err, "join");

    static _Alignas(8) unsigned char buf[X0X_DRAIN_HINT];
    int joined = 0, received = 0;
    while (received < 3) {
        int32_t status = x0x_queue_wait(queue, 15000);
        if (status == X0X_S_AGAIN) {
            fprintf(stderr, "nothing for 15 seconds\n");
            return 1;
        }
        check(status, NULL, "wait");
        size_t bytes;
        uint32_t records;
        status = x0x_queue_drain(queue, buf, sizeof buf, &bytes, &records);
        if (status != X0X_S_MORE) /* the next wait returns at once */
            check(status, NULL, "drain");

        for (const x0x_record *r = x0x_record_first(buf, bytes); r; r = x0x_record_next(buf, bytes, r)) {
            x0x_reader meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
            switch (r->kind) {
            case X0X_R_COMPLETION:
                x0x_read_array(&meta);
                check((int32_t)x0x_read_int(&meta), NULL, "operation");
                if ((r->id == JOIN_ALICE || r->id == JOIN_BOB) && ++joined == 2) {
                    /* Both listen: the library connects when there is something to say. */
                    check(x0x_publish(alice, "news", 4, "hello, everyone", 15, 0, PUBLISH, NULL, &err), &err, "publish");
                    check(x0x_send(alice, bob_id, "hello, bob", 10, 0, 0, SEND, NULL, &err), &err, "send");
                }
                break;
            case X0X_R_MESSAGE:
                print_payload("bob (news)", r);
                received++;
                break;
            case X0X_R_DIRECT:
                received++;
                if (r->id == bob_inbox) {
                    print_payload("bob", r);
                    check(x0x_send(bob, alice_id, "hello, alice", 12, 0, 0, REPLY, NULL, &err), &err, "reply");
                } else if (r->id == alice_inbox) {
                    print_payload("alice", r);
                }
                break;
            }
        }
    }

    check(x0x_close_wait(alice, 5000), NULL, "close alice");
    check(x0x_close_wait(bob, 5000), NULL, "close bob");
    check(x0x_handle_close(queue), NULL, "close queue");
    return 0;
}
