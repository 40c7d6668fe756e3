/* What the library does to its process: threads and signals, files, fork, and a panic. */
#include "harness.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct reader r;

/* Every thread of the library blocks the asynchronous signals; this thread blocks none. */
static void signal_masks(void)
{
    /* Those that Go's threads open themselves, or that are synchronous. */
    static const int open[] = {SIGCHLD, SIGURG, SIGPROF, SIGSTKFLT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGKILL, SIGSTOP};
    uint64_t want = 0;
    for (int s = 1; s < 32; s++)
        want |= UINT64_C(1) << (s - 1);
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        want &= ~(UINT64_C(1) << (open[i] - 1));
    int others = 0;
    DIR *d = opendir("/proc/self/task");
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[300], line[256];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL)
            continue; /* the thread has ended */
        while (fgets(line, sizeof line, f)) {
            uint64_t blocked;
            if (sscanf(line, "SigBlk: %" SCNx64, &blocked) != 1)
                continue;
            if (atoi(e->d_name) == getpid()) {
                CHECK(blocked == 0);
            } else {
                if ((blocked & want) != want)
                    fprintf(stderr, "thread %s does not block %" PRIx64 "\n", e->d_name, want & ~blocked);
                CHECK((blocked & want) == want);
                others++;
            }
        }
        fclose(f);
    }
    closedir(d);
    CHECK(others >= 3);
}

static volatile sig_atomic_t handled;
static void on_signal(int s)
{
    (void)s;
    handled++;
}

/* A handler without SA_ONSTACK, as libuv installs them, never runs on a thread of the library. */
static void signals_go_to_us(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(handled > 0);
}

static void file_limit(rlim_t before)
{
    struct rlimit now;
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
    if (now.rlim_cur != before)
        fprintf(stderr, "RLIMIT_NOFILE is %lu, was %lu\n", (unsigned long)now.rlim_cur, (unsigned long)before);
    CHECK(now.rlim_cur == before);
    /* It is restored once: a program that raises it later keeps its choice. */
    now.rlim_cur = before + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &now) == 0);
    uint64_t a = new_agent(r.queue);
    OK(x0x_close_wait(a, SOON_MS));
    CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == before + 1);
}

/* Everything in the child says FORKED and nothing hangs; the parent goes on. */
static void forking(uint64_t agent)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        static _Alignas(8) unsigned char buf[64];
        uint8_t id[X0X_ID_SIZE];
        uint64_t h;
        size_t n;
        uint32_t records;
        int32_t fd;
        x0x_err err = {.size = sizeof err};
        alarm(10); /* a hang ends here, as a failure */
        STATUS(X0X_E_FORKED, x0x_queue_new(NULL, &h, &err));
        CHECK(err.code == X0X_E_FORKED && strlen(err.message) > 0);
        STATUS(X0X_E_FORKED, x0x_build_info((char *)buf, sizeof buf, &n));
        STATUS(X0X_E_FORKED, x0x_handle_kind(agent));
        STATUS(X0X_E_FORKED, x0x_handle_close(agent));
        STATUS(X0X_E_FORKED, x0x_queue_fd(r.queue, &fd));
        STATUS(X0X_E_FORKED, x0x_queue_wait(r.queue, X0X_NO_TIMEOUT));
        STATUS(X0X_E_FORKED, x0x_queue_set_wake(r.queue, NULL, NULL));
        STATUS(X0X_E_FORKED, x0x_queue_drain(r.queue, buf, sizeof buf, &n, &records));
        STATUS(X0X_E_FORKED, x0x_open(NULL, r.queue, &h, NULL));
        STATUS(X0X_E_FORKED, x0x_close(agent, 1));
        STATUS(X0X_E_FORKED, x0x_close_wait(agent, 1));
        STATUS(X0X_E_FORKED, x0x_shutdown_wait(1));
        STATUS(X0X_E_FORKED, x0x_agent_id(agent, id));
        STATUS(X0X_E_FORKED, x0x_machine_id(agent, id));
        STATUS(X0X_E_FORKED, x0x_op_cancel(1));
        STATUS(X0X_E_FORKED, x0x_call(agent, X0X_M_JOIN, NULL, 0, 1, NULL, &err));
        STATUS(X0X_E_FORKED, x0x_call_now(agent, X0X_M_PEERS, NULL, 0, buf, sizeof buf, &n, &err));
        STATUS(X0X_E_FORKED, x0x_publish(agent, "t", 1, "x", 1, 0, 1, NULL, &err));
        STATUS(X0X_E_FORKED, x0x_subscribe(agent, "t", 1, NULL, &h, &err));
        STATUS(X0X_E_FORKED, x0x_send(agent, id, "x", 1, 0, 0, 1, NULL, &err));
        STATUS(X0X_E_FORKED, x0x_inbox_open(agent, 0, &h, &err));
        STATUS(X0X_E_FORKED, x0x_credit_add(agent, 1));
        STATUS(X0X_E_FORKED, x0x_log_to_queue(r.queue, X0X_LOG_INFO));
        CHECK(x0x_live_handles(X0X_KIND_ANY) == 0);
        CHECK(x0x_abi_version() == X0X_ABI_VERSION);
        CHECK(strcmp(x0x_status_name(X0X_E_FORKED), "X0X_E_FORKED") == 0);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(x0x_publish(agent, "t", 1, "x", 1, 0, 5, NULL, NULL));
    OK(await_completion(&r, 5));
}

/* A panic poisons its agent and no other. */
static void panicking(uint64_t good)
{
    if (!(x0x_features() & X0X_FEATURE_TEST_PANIC))
        return; /* the driver runs this program with both builds */
    unsigned char out[8];
    uint8_t id[X0X_ID_SIZE];
    size_t n;
    x0x_err err = {.size = sizeof err};
    uint64_t bad = new_agent(r.queue), sub;
    OK(x0x_subscribe(bad, "t", 1, NULL, &sub, NULL));
    STATUS(X0X_E_PANIC, x0x_call_now(bad, X0X_M_TEST_PANIC, NULL, 0, out, sizeof out, &n, &err));
    CHECK(err.flags & X0X_ERRF_FATAL);
    STATUS(X0X_E_PANIC, record_status(await_record(&r, X0X_R_FATAL, bad)));
    STATUS(X0X_E_POISONED, x0x_publish(bad, "t", 1, "x", 1, 0, 6, NULL, &err));
    CHECK(err.flags & X0X_ERRF_FATAL);
    STATUS(X0X_E_POISONED, x0x_agent_id(bad, id));
    STATUS(X0X_E_POISONED, x0x_call(bad, X0X_M_JOIN, NULL, 0, 6, NULL, NULL));
    STATUS(X0X_E_POISONED, x0x_call_now(bad, X0X_M_TEST_PANIC, NULL, 0, out, sizeof out, &n, NULL));
    OK(x0x_publish(good, "t", 1, "x", 1, 0, 7, NULL, NULL));
    OK(await_completion(&r, 7));
    OK(x0x_close(bad, 1));
    for (const x0x_record *rec; (rec = next_record(&r, SOON_MS)) != NULL && !(rec->kind == X0X_R_CLOSED && rec->id == bad);)
        CHECK(rec->kind != X0X_R_FATAL);
    STATUS(X0X_E_CLOSED, x0x_handle_close(sub));
    printf("panicked on purpose\n");
}

/* Opening and closing leaves neither descriptors nor threads behind. */
static int count(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void nothing_left(void)
{
    int files = 0;
    for (int i = 0; i < 15; i++) {
        struct reader own = {.queue = new_queue()};
        int32_t fd;
        OK(x0x_queue_fd(own.queue, &fd));
        uint64_t a = new_agent(own.queue);
        join(a, &own);
        OK(x0x_close_wait(a, SOON_MS));
        OK(x0x_handle_close(own.queue));
        if (i == 4)
            files = count("/proc/self/fd");
    }
    CHECK(count("/proc/self/fd") <= files);
    CHECK(count("/proc/self/task") < 64);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2); /* the soft limit of open files with which the driver started us */
    rlim_t before = (rlim_t)strtoul(argv[1], NULL, 10);
    r.queue = new_queue();
    uint64_t a = new_agent(r.queue);
    file_limit(before);
    join(a, &r);
    signal_masks();
    signals_go_to_us();
    forking(a);
    panicking(a);
    nothing_left();
    signal_masks(); /* also of the threads that came later */
    all_closed();
    return 0;
}
