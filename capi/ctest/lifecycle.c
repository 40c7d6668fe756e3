/* Wakes, completions, closing and shutting down, also while other threads call. */
#include "harness.h"

#include <poll.h>
#include <stdatomic.h>

static struct reader r;

static int readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static atomic_int wakes;
static void count_wake(void *user) { atomic_fetch_add((atomic_int *)user, 1); }

static void await_wakes(int want)
{
    uint64_t end = now_ms() + SOON_MS;
    while (atomic_load(&wakes) < want && now_ms() < end)
        usleep(100);
    CHECK(atomic_load(&wakes) == want);
}

static void publish(uint64_t agent, uint64_t token) { OK(x0x_publish(agent, "t", 1, "x", 1, 0, token, NULL, NULL)); }

static void drain_all(uint64_t q, unsigned *count)
{
    static _Alignas(8) unsigned char buf[X0X_DRAIN_HINT];
    size_t n;
    uint32_t records;
    int32_t s;
    do {
        s = x0x_queue_drain(q, buf, sizeof buf, &n, &records);
        CHECK(s == X0X_OK || s == X0X_S_MORE);
        *count += records;
    } while (s == X0X_S_MORE);
}

/* One wake for the step from empty to non-empty in each of the three ways; the drain that
 * empties the queue arms it again; and replacing a callback takes effect at once. */
static void wakes_once(void)
{
    uint64_t q = new_queue(), a = new_agent(q);
    int32_t fd, again;
    unsigned count = 0;
    OK(x0x_queue_fd(q, &fd));
    OK(x0x_queue_fd(q, &again));
    CHECK(fd == again);
    OK(x0x_queue_set_wake(q, count_wake, &wakes));
    STATUS(X0X_S_AGAIN, x0x_queue_wait(q, 0));
    STATUS(X0X_S_AGAIN, x0x_queue_wait(q, 1));
    for (int round = 1; round <= 5; round++) {
        CHECK(!readable(fd));
        for (uint64_t i = 0; i < 10; i++)
            publish(a, i);
        OK(x0x_queue_wait(q, X0X_NO_TIMEOUT));
        await_wakes(round);
        CHECK(readable(fd));
        for (count = 0; count < 10;) { /* until all completions are there: each step wakes */
            OK(x0x_queue_wait(q, SOON_MS));
            int before = atomic_load(&wakes);
            drain_all(q, &count);
            if (count < 10)
                await_wakes(before + 1);
        }
        CHECK(count == 10);
        STATUS(X0X_S_AGAIN, x0x_queue_wait(q, 0));
        atomic_store(&wakes, round);
    }
    OK(x0x_queue_set_wake(q, NULL, NULL));
    publish(a, 1);
    OK(x0x_queue_wait(q, SOON_MS));
    usleep(20000);
    CHECK(atomic_load(&wakes) == 5);
    OK(x0x_queue_set_wake(q, count_wake, &wakes)); /* records wait already: once, soon */
    await_wakes(6);
    OK(x0x_close_wait(a, SOON_MS));
    OK(x0x_handle_close(q));
}

/* The callback may not call the library where that could wait for the callback. */
static atomic_int refused;
static uint64_t wake_queue;
static void call_inside(void *user)
{
    (void)user;
    if (x0x_queue_set_wake(wake_queue, NULL, NULL) == X0X_E_BUSY && x0x_handle_close(wake_queue) == X0X_E_BUSY &&
        x0x_shutdown_wait(1) == X0X_E_BUSY)
        atomic_fetch_add(&refused, 1);
}

static void calls_inside_callback(void)
{
    wake_queue = new_queue();
    uint64_t a = new_agent(wake_queue);
    OK(x0x_queue_set_wake(wake_queue, call_inside, NULL));
    publish(a, 1);
    uint64_t end = now_ms() + SOON_MS;
    while (!atomic_load(&refused) && now_ms() < end)
        usleep(100);
    CHECK(atomic_load(&refused) == 1);
    OK(x0x_close_wait(a, SOON_MS));
    OK(x0x_handle_close(wake_queue));
}

/* No callback runs once set_wake or the closing of the queue has returned, whatever happens
 * meanwhile: the memory that it gets is gone. */
static void callbacks_during_shutdown(void)
{
    for (int i = 0; i < 30; i++) {
        atomic_int *user = malloc(sizeof *user);
        uint64_t q = new_queue(), a = new_agent(q);
        atomic_init(user, 0);
        OK(x0x_queue_set_wake(q, count_wake, user));
        for (uint64_t t = 0; t < 20; t++)
            publish(a, t);
        OK(x0x_close(a, 1));
        if (i % 2) {
            OK(x0x_queue_set_wake(q, NULL, NULL));
            memset(user, 0xee, sizeof *user);
            free(user);
            user = NULL;
        }
        STATUS(X0X_E_CLOSED, x0x_close_wait(a, SOON_MS));
        OK(x0x_handle_close(q));
        free(user);
    }
}

static void cancelling(uint64_t a)
{
    uint64_t op;
    start_endless_call(a, 40, &op);
    CHECK(x0x_live_handles(X0X_KIND_OPERATION) == 1);
    OK(x0x_op_cancel(op));
    STATUS(X0X_E_CANCELLED, await_completion(&r, 40));
    STATUS(X0X_E_CLOSED, x0x_op_cancel(op));
    STATUS(X0X_E_CLOSED, x0x_handle_close(op));

    start_endless_call(a, 41, &op); /* forgotten, and it still completes: with its agent */
    OK(x0x_handle_close(op));
    STATUS(X0X_E_CLOSED, x0x_op_cancel(op));
    CHECK(x0x_live_handles(X0X_KIND_OPERATION) == 0);
}

/* A record that does not fit is neither lost nor written in part. */
static void too_small(void)
{
    static char payload[3000];
    uint64_t q = new_queue(), a = new_agent(q), sub;
    unsigned char *buf = aligned_alloc(8, 4096);
    size_t n, need;
    uint32_t records;
    memset(payload, 'p', sizeof payload);
    OK(x0x_subscribe(a, "t", 1, NULL, &sub, NULL));
    OK(x0x_publish(a, "t", 1, payload, sizeof payload, 0, 9, NULL, NULL));
    int got = 0;
    uint64_t end = now_ms() + SOON_MS;
    while (got < 2 && now_ms() < end) {
        OK(x0x_queue_wait(q, SOON_MS));
        int32_t s = x0x_queue_drain(q, buf, 0, &need, &records);
        STATUS(X0X_E_TOO_SMALL, s);
        CHECK(need > sizeof(x0x_record) && need % 8 == 0 && records == 0);
        memset(buf, 0xee, 4096);
        s = x0x_queue_drain(q, buf, need - 8, &n, &records);
        if (s == X0X_E_TOO_SMALL) {
            CHECK(n == need && buf[0] == 0xee);
            s = x0x_queue_drain(q, buf, need, &n, &records);
        }
        CHECK((s == X0X_OK || s == X0X_S_MORE) && records >= 1);
        for (const x0x_record *rec = x0x_record_first(buf, n); rec; rec = x0x_record_next(buf, n, rec)) {
            got++;
            if (rec->kind == X0X_R_MESSAGE)
                CHECK(rec->payload_len == sizeof payload && memcmp(x0x_record_payload(rec), payload, sizeof payload) == 0);
        }
        CHECK(buf[need] == 0xee);
    }
    CHECK(got == 2);
    free(buf);
    OK(x0x_close_wait(a, SOON_MS));
    OK(x0x_handle_close(q));
}

/* A publisher who does not wait is refused while there is no room, and knows it: who was not
 * refused has published. Each topic takes a signature of its own, so they come faster than they
 * are signed. */
static void no_wait(void)
{
    r = (struct reader){.queue = new_queue()};
    uint64_t a = new_agent(r.queue), end = now_ms() + SOON_MS, token = 0;
    unsigned published = 0, refused = 0;
    while (refused == 0) {
        unsigned owed = 0;
        CHECK(now_ms() < end);
        for (int i = 0; i < 3000; i++, token++) { /* of the 4,096 operations in flight */
            char topic[32];
            int len = snprintf(topic, sizeof topic, "no wait %d", i);
            int32_t s = x0x_publish(a, topic, (size_t)len, "x", 1, X0X_NO_WAIT, token, NULL, NULL);
            CHECK(s == X0X_OK || s == X0X_E_BUSY);
            owed += s == X0X_OK;
            refused += s == X0X_E_BUSY;
        }
        for (; owed > 0; owed--) {
            const x0x_record *rec = next_record(&r, SOON_MS);
            CHECK(rec != NULL && rec->kind == X0X_R_COMPLETION); /* nobody subscribes */
            x0x_reader m = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
            CHECK(x0x_read_array(&m) >= 2);
            int64_t status = x0x_read_int(&m);
            CHECK(status == X0X_OK || status == X0X_E_BUSY);
            if (status == X0X_E_BUSY)
                CHECK(x0x_read_uint(&m) == X0X_ERRF_RETRYABLE);
            *(status == X0X_OK ? &published : &refused) += 1;
        }
    }
    CHECK(published >= 1024); /* as much as the publish queue takes */
    OK(x0x_publish(a, "t", 1, "x", 1, X0X_NO_WAIT, 1, NULL, NULL));
    OK(x0x_close_wait(a, SOON_MS));
    OK(x0x_handle_close(r.queue));
}

/* Threads call while another closes what they use. Every accepted operation completes once,
 * and the agent's closing record is the last of all. */
#define THREADS 4
static uint64_t race_agent, race_queue;
static atomic_uint accepted;
static atomic_int stop;

static void *caller(void *arg)
{
    uint64_t token = (uint64_t)(uintptr_t)arg << 32;
    uint8_t self[X0X_ID_SIZE];
    if (x0x_agent_id(race_agent, self) != X0X_OK)
        memset(self, 0, sizeof self);
    while (!atomic_load(&stop)) {
        uint64_t op, sub;
        int32_t s = token % 2 ? x0x_publish(race_agent, "t", 1, "x", 1, 0, token, &op, NULL)
                              : x0x_send(race_agent, self, "x", 1, 0, 0, token, NULL, NULL);
        if (s == X0X_OK)
            atomic_fetch_add(&accepted, 1);
        else
            CHECK(s == X0X_E_CLOSED || s == X0X_E_BUSY);
        if (token % 64 == 0 && x0x_subscribe(race_agent, "t", 1, NULL, &sub, NULL) == X0X_OK)
            x0x_handle_close(sub);
        token++;
    }
    return NULL;
}

static void closing_during_calls(void)
{
    for (int i = 0; i < 10; i++) {
        pthread_t threads[THREADS];
        unsigned completions = 0;
        uint64_t inbox;
        r = (struct reader){.queue = race_queue = new_queue()};
        race_agent = new_agent(race_queue);
        OK(x0x_inbox_open(race_agent, 0, &inbox, NULL));
        atomic_store(&accepted, 0);
        atomic_store(&stop, 0);
        for (uintptr_t t = 0; t < THREADS; t++)
            CHECK(pthread_create(&threads[t], NULL, caller, (void *)t) == 0);
        int closed = 0;
        uint64_t close_at = now_ms() + 5 + (uint64_t)i, end = now_ms() + SOON_MS;
        while (!closed) {
            CHECK(now_ms() < end);
            if (close_at != 0 && now_ms() >= close_at) {
                OK(x0x_close(race_agent, 1));
                close_at = 0;
            }
            const x0x_record *rec = next_record(&r, 1);
            if (rec == NULL)
                continue;
            completions += rec->kind == X0X_R_COMPLETION;
            closed = rec->kind == X0X_R_CLOSED && rec->id == race_agent;
        }
        atomic_store(&stop, 1);
        for (int t = 0; t < THREADS; t++)
            CHECK(pthread_join(threads[t], NULL) == 0);
        CHECK(completions == atomic_load(&accepted));
        CHECK(next_record(&r, 0) == NULL);
        CHECK(x0x_live_handles(X0X_KIND_ANY) == 1);
        OK(x0x_handle_close(race_queue));
    }
}

static void *wait_for_close(void *q)
{
    STATUS(X0X_E_CLOSED, x0x_queue_wait(*(uint64_t *)q, X0X_NO_TIMEOUT));
    return NULL;
}

static void waiters_end(void)
{
    uint64_t q = new_queue();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, wait_for_close, &q) == 0);
    usleep(10000);
    OK(x0x_handle_close(q));
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(void)
{
    wakes_once();
    calls_inside_callback();
    callbacks_during_shutdown();
    too_small();
    no_wait();
    waiters_end();
    closing_during_calls();

    r = (struct reader){.queue = new_queue()};
    uint64_t a = new_agent(r.queue);
    join(a, &r);
    cancelling(a);
    OK(x0x_close(a, 1));
    STATUS(X0X_E_CLOSED, await_completion(&r, 41));
    STATUS(X0X_OK, record_status(await_record(&r, X0X_R_CLOSED, a)));

    /* The library can be used again after shutting down. */
    all_closed();
    uint64_t q = new_queue();
    new_agent(q);
    all_closed();
    return 0;
}
