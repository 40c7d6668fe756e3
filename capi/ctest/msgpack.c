/* x0x_msgpack.h: what is written reads back, and no bytes make reading leave its buffer. */
#include "harness.h"

static void round_trips(void)
{
    static const uint64_t uints[] = {0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffffffffu, UINT64_C(0x100000000), UINT64_MAX};
    static char text[70000];
    static unsigned char buf[80000];
    for (size_t i = 0; i < sizeof uints / sizeof *uints; i++) {
        x0x_writer w = x0x_writer_init(buf, sizeof buf);
        x0x_write_uint(&w, uints[i]);
        x0x_reader r = x0x_reader_init(buf, w.len);
        CHECK(x0x_read_uint(&r) == uints[i] && x0x_reader_done(&r));
    }
    static const struct {
        const char *bytes;
        size_t len;
        int64_t want;
    } ints[] = {{"\xff", 1, -1}, {"\xe0", 1, -32}, {"\xd0\x80", 2, -128}, {"\xd1\xff\x9b", 3, -101}, {"\xd2\x80\x00\x00\x00", 5, INT32_MIN},
                {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9, INT64_MIN}, {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9, -1}, {"\xcc\xff", 2, 255}, {"\xd0\x05", 2, 5}};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        x0x_reader r = x0x_reader_init(ints[i].bytes, ints[i].len);
        CHECK(x0x_read_int(&r) == ints[i].want && x0x_reader_done(&r));
    }
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n;
        x0x_writer w = x0x_writer_init(buf, sizeof buf);
        x0x_write_str(&w, text, lengths[i]);
        x0x_reader r = x0x_reader_init(buf, w.len);
        const char *s = x0x_read_str(&r, &n);
        CHECK(n == lengths[i] && x0x_reader_done(&r) && (n == 0 || memcmp(s, text, n) == 0));
        w = x0x_writer_init(buf, sizeof buf);
        x0x_write_bin(&w, text, lengths[i]);
        r = x0x_reader_init(buf, w.len);
        (void)x0x_read_bin(&r, &n);
        CHECK(n == lengths[i] && x0x_reader_done(&r));
        for (size_t cap = 0; cap < w.len && cap < 40; cap++) { /* too small at every size */
            x0x_writer small = x0x_writer_init(buf, cap);
            x0x_write_bin(&small, text, lengths[i]);
            CHECK(small.failed && small.len <= cap);
        }
    }
}

/* In memory of exactly its size, so that a sanitizer sees a byte too much. */
static void garbage(void)
{
    uint64_t state = now_ns() | 1;
    printf("seed %" PRIu64 "\n", state);
    for (int i = 0; i < 200000; i++) {
        size_t len = (size_t)(state % 24), n;
        unsigned char *b = malloc(len ? len : 1);
        for (size_t j = 0; j < len; j++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            b[j] = (unsigned char)(state >> 56);
        }
        x0x_reader r = x0x_reader_init(b, len);
        switch ((state >> 40) % 8) {
        case 0: x0x_read_skip(&r); break;
        case 1: (void)x0x_read_int(&r); break;
        case 2: (void)x0x_read_str(&r, &n); break;
        case 3: (void)x0x_read_bin(&r, &n); break;
        case 4: (void)x0x_read_array(&r); break;
        case 5: (void)x0x_read_map(&r); break;
        case 6: (void)x0x_read_bool(&r); break;
        default: (void)x0x_read_uint(&r);
        }
        CHECK(r.p <= r.end);
        x0x_read_skip(&r);
        CHECK(r.p <= r.end);
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        free(b);
    }
}

int main(void)
{
    round_trips();
    garbage();
    return 0;
}
