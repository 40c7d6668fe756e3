/* Damaged MessagePack through x0x_call and x0x_call_now: valid arguments with bytes changed, cut
 * or added, and bombs of declared lengths. Every call is refused or runs; memory stays bounded.
 *
 *     garbage ROUNDS [SEED]
 */
#include "harness.h"

#include <sys/resource.h>

static uint64_t state;
static uint32_t draw(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static long resident_kib(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    return u.ru_maxrss;
}

static size_t valid(unsigned char *buf, size_t cap)
{
    uint8_t id[X0X_ID_SIZE] = {1, 2, 3};
    x0x_writer w = x0x_writer_init(buf, cap);
    switch (draw(4)) {
    case 0: /* connect, trust */
        x0x_write_array(&w, 2);
        x0x_write_bin(&w, id, sizeof id);
        x0x_write_uint(&w, draw(2) ? draw(4) : 1 + draw(50));
        break;
    case 1: /* add peer */
        x0x_write_array(&w, 3);
        x0x_write_bin(&w, id, sizeof id);
        x0x_write_array(&w, 2);
        x0x_write_str(&w, "127.0.0.1:9", 11);
        x0x_write_str(&w, "[::1]:9", 7);
        x0x_write_bin(&w, id, sizeof id);
        break;
    case 2:
        x0x_write_array(&w, 2);
        x0x_write_str(&w, "127.0.0.1:9", 11);
        x0x_write_uint(&w, 10);
        break;
    default:
        x0x_write_array(&w, 1);
        x0x_write_uint(&w, draw(5));
    }
    CHECK(!w.failed);
    return w.len;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    unsigned long rounds = strtoul(argv[1], NULL, 10);
    state = (argc > 2 ? strtoull(argv[2], NULL, 10) : now_ns()) | 1;
    printf("seed %" PRIu64 "\n", state);
    fflush(stdout);
    static const uint32_t methods[] = {1, 2, 3, 4, 5, 20, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 140, 141, 142, 143, 201, 202, 9902};
    static struct reader r;
    static unsigned char out[1 << 16];
    r.queue = new_queue();
    uint64_t a = new_agent(r.queue), owed = 0, completed = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        static unsigned char args[1 << 12];
        size_t len = valid(args, 512), n;
        switch (draw(6)) {
        case 0:
            len = draw((uint32_t)len + 1);
            break;
        case 1:
            args[draw((uint32_t)len)] = (unsigned char)draw(256);
            break;
        case 2:
            args[draw((uint32_t)len)] ^= (unsigned char)(1u << draw(8));
            args[draw((uint32_t)len)] = (unsigned char[]){0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xd8}[draw(6)];
            break;
        case 3:
            memcpy(args, "\xdd\xff\xff\xff\xff", 5);
            len = draw(2) ? 5 : len;
            break;
        case 4:
            memset(args, 0x91, sizeof args);
            len = 1 + draw(sizeof args);
            break;
        }
        uint32_t method = methods[draw(sizeof methods / sizeof *methods)];
        if (method < 100) {
            /* The largest timeouts would keep operations open: their number is bounded. */
            owed += x0x_call(a, method, args, len, i, NULL, NULL) == X0X_OK;
        } else {
            int32_t s = x0x_call_now(a, method, args, len, out, sizeof out, &n, NULL);
            if (s <= -200 && s != X0X_E_UNREACHABLE && s != X0X_E_LIMIT && s != X0X_E_NOT_FOUND) { /* not about the arguments, nor not joined, nor no contact */
                fprintf(stderr, "method %u: %s\n", method, x0x_status_name(s));
                die(__FILE__, __LINE__, "unexpected status");
            }
        }
        for (const x0x_record *rec; (rec = next_record(&r, 0)) != NULL;)
            completed += rec->kind == X0X_R_COMPLETION;
    }
    OK(x0x_close(a, 1));
    for (const x0x_record *rec; (rec = next_record(&r, SOON_MS)) != NULL && rec->kind != X0X_R_CLOSED;)
        completed += rec->kind == X0X_R_COMPLETION;
    CHECK(completed == owed);
    all_closed();
    printf("%" PRIu64 " operations, %ld KiB at most\n", owed, resident_kib());
    if (getenv("X0X_TEST_NO_CEILING") == NULL) /* a sanitizer's shadow memory counts */
        CHECK(resident_kib() < 200 << 10);
    return 0;
}
