/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The public functions of x0x.h. Each refuses to work in the child of a fork, before Go is
 * entered, where it could hang, and then calls its twin in Go. What must happen before or
 * outside the Go runtime is here too: signal masks around its start, the limit of open files
 * that it raises, the fork flag, and calling back.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "abi.h"
#include "_cgo_export.h"

/* ------------------------------------------------------------------ loading */

static sigset_t callers_mask;
static struct rlimit callers_nofile;
static volatile sig_atomic_t in_forked_child;

static void after_fork_in_child(void) { in_forked_child = 1; }

/* Runs before the constructor that starts the Go runtime. Its threads inherit the mask of
 * this one, for ever: a handler of the host that is not prepared for Go's small stacks never
 * runs on them. Synchronous signals stay open, and those that Go needs it opens itself. */
__attribute__((constructor(101))) static void before_go(void)
{
    sigset_t block;
    sigfillset(&block);
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF, SIGURG};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        sigdelset(&block, open[i]);
    pthread_sigmask(SIG_BLOCK, &block, &callers_mask);
    getrlimit(RLIMIT_NOFILE, &callers_nofile);
}

__attribute__((constructor)) static void after_go(void)
{
    pthread_sigmask(SIG_SETMASK, &callers_mask, NULL);
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* Go raises the soft limit of open files to (nearly) the hard one when it starts. Programs
 * that use select() or close all descriptors rely on their own: restore it, once, unless it
 * was changed since by somebody else. */
void restore_nofile(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int done;
    struct rlimit is;
    pthread_mutex_lock(&lock);
    if (!done && getrlimit(RLIMIT_NOFILE, &is) == 0 && is.rlim_max == callers_nofile.rlim_max &&
        is.rlim_cur > callers_nofile.rlim_cur && is.rlim_max - is.rlim_cur <= 1) {
        is.rlim_cur = callers_nofile.rlim_cur;
        setrlimit(RLIMIT_NOFILE, &is);
    }
    done = 1;
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ calling back */

static __thread int calls_inside;  /* of this thread into the library */
static __thread int in_callback;   /* this thread runs a wake callback */

/* A wake callback runs on a thread of the library, where no lock of the caller can be held:
 * on a thread that is inside a call, say so instead, and Go calls again from another. */
int call_wake(x0x_wake_fn fn, void *user_data)
{
    if (calls_inside > 0)
        return 0;
    in_callback = 1;
    fn(user_data);
    in_callback = 0;
    return 1;
}

/* ------------------------------------------------------------------ errors */

static const char *const forked_text = "the library was loaded before fork(): use exec, or load it after";
static const char *const callback_text = "not from inside the wake callback";

static int32_t refuse(int32_t status, const char *text, x0x_err *err)
{
    if (err != NULL && err->size >= sizeof *err) {
        err->code = status;
        err->flags = 0;
        snprintf(err->message, sizeof err->message, "%s", text);
    }
    return status;
}

#define FORKED(err)                                            \
    do {                                                       \
        if (__builtin_expect(in_forked_child, 0))              \
            return refuse(X0X_E_FORKED, forked_text, (err));   \
    } while (0)

#define NOT_IN_CALLBACK()                                      \
    do {                                                       \
        if (in_callback)                                       \
            return refuse(X0X_E_BUSY, callback_text, NULL);    \
    } while (0)

/* Calls Go, with the mark that this thread is inside. */
#define ENTER(call)                \
    do {                           \
        calls_inside++;            \
        int32_t status_ = (call);  \
        calls_inside--;            \
        return status_;            \
    } while (0)

const char *x0x_status_name(int32_t status)
{
    switch (status) {
#define NAME(s) \
    case s:     \
        return #s
        NAME(X0X_OK);
        NAME(X0X_S_AGAIN);
        NAME(X0X_S_MORE);
        NAME(X0X_E_INVALID_ARGUMENT);
        NAME(X0X_E_BAD_HANDLE);
        NAME(X0X_E_WRONG_KIND);
        NAME(X0X_E_TOO_SMALL);
        NAME(X0X_E_UNSUPPORTED);
        NAME(X0X_E_CLOSED);
        NAME(X0X_E_BUSY);
        NAME(X0X_E_CANCELLED);
        NAME(X0X_E_TIMEOUT);
        NAME(X0X_E_NOT_FOUND);
        NAME(X0X_E_UNREACHABLE);
        NAME(X0X_E_DISCONNECTED);
        NAME(X0X_E_NETWORK_MISMATCH);
        NAME(X0X_E_AUTH);
        NAME(X0X_E_CORRUPT);
        NAME(X0X_E_IO);
        NAME(X0X_E_BLOCKED);
        NAME(X0X_E_POLICY);
        NAME(X0X_E_TOO_LARGE);
        NAME(X0X_E_LIMIT);
        NAME(X0X_E_LAGGED);
        NAME(X0X_E_PANIC);
        NAME(X0X_E_POISONED);
        NAME(X0X_E_FORKED);
#undef NAME
    }
    return "X0X_E_UNKNOWN";
}

/* ------------------------------------------------------------------ versions */

uint32_t x0x_abi_version(void) { return X0X_ABI_VERSION; }

const char *x0x_version(void) { return X0X_RELEASE; }

uint64_t x0x_features(void)
{
#ifdef X0X_TEST_PANIC
    return X0X_FEATURE_TEST_PANIC;
#else
    return 0;
#endif
}

int32_t x0x_build_info(char *buf, size_t cap, size_t *len_out)
{
    FORKED(NULL);
    ENTER(goBuildInfo(buf, cap, len_out));
}

/* ------------------------------------------------------------------ handles */

int32_t x0x_handle_kind(uint64_t handle)
{
    FORKED(NULL);
    ENTER(goHandleKind(handle));
}

int32_t x0x_handle_close(uint64_t handle)
{
    FORKED(NULL);
    NOT_IN_CALLBACK();
    ENTER(goHandleClose(handle));
}

uint64_t x0x_live_handles(uint32_t kind) { return in_forked_child ? 0 : goLiveHandles(kind); }

/* ------------------------------------------------------------------ queues */

int32_t x0x_queue_new(const x0x_queue_options *options, uint64_t *queue_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goQueueNew((x0x_queue_options *)options, queue_out, err));
}

int32_t x0x_queue_fd(uint64_t queue, int32_t *fd_out)
{
    FORKED(NULL);
    ENTER(goQueueFD(queue, fd_out));
}

int32_t x0x_queue_wait(uint64_t queue, uint32_t timeout_ms)
{
    FORKED(NULL);
    ENTER(goQueueWait(queue, timeout_ms));
}

int32_t x0x_queue_set_wake(uint64_t queue, x0x_wake_fn fn, void *user_data)
{
    FORKED(NULL);
    NOT_IN_CALLBACK();
    ENTER(goQueueSetWake(queue, fn, user_data));
}

int32_t x0x_queue_drain(uint64_t queue, void *buf, size_t cap, size_t *bytes_out, uint32_t *records_out)
{
    FORKED(NULL);
    ENTER(goQueueDrain(queue, buf, cap, bytes_out, records_out));
}

/* ------------------------------------------------------------------ agents */

int32_t x0x_open(const x0x_options *options, uint64_t queue, uint64_t *agent_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goOpen((x0x_options *)options, queue, agent_out, err));
}

int32_t x0x_close(uint64_t agent, uint32_t grace_ms)
{
    FORKED(NULL);
    ENTER(goClose(agent, grace_ms));
}

int32_t x0x_close_wait(uint64_t agent, uint32_t timeout_ms)
{
    FORKED(NULL);
    NOT_IN_CALLBACK();
    ENTER(goCloseWait(agent, timeout_ms));
}

int32_t x0x_shutdown_wait(uint32_t timeout_ms)
{
    FORKED(NULL);
    NOT_IN_CALLBACK();
    ENTER(goShutdownWait(timeout_ms));
}

int32_t x0x_agent_id(uint64_t agent, uint8_t id_out[X0X_ID_SIZE])
{
    FORKED(NULL);
    ENTER(goAgentID(agent, id_out));
}

int32_t x0x_machine_id(uint64_t agent, uint8_t id_out[X0X_ID_SIZE])
{
    FORKED(NULL);
    ENTER(goMachineID(agent, id_out));
}

/* ------------------------------------------------------------------ operations */

int32_t x0x_op_cancel(uint64_t op)
{
    FORKED(NULL);
    ENTER(goOpCancel(op));
}

int32_t x0x_call(uint64_t handle, uint32_t method, const void *args, size_t args_len,
                 uint64_t token, uint64_t *op_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goCall(handle, method, (void *)args, args_len, token, op_out, err));
}

int32_t x0x_call_now(uint64_t handle, uint32_t method, const void *args, size_t args_len,
                     void *out, size_t cap, size_t *len_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goCallNow(handle, method, (void *)args, args_len, out, cap, len_out, err));
}

/* ------------------------------------------------------------------ messages */

int32_t x0x_publish(uint64_t agent, const char *topic, size_t topic_len,
                    const void *payload, size_t payload_len, uint32_t timeout_ms,
                    uint64_t token, uint64_t *op_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goPublish(agent, (char *)topic, topic_len, (void *)payload, payload_len, timeout_ms, token, op_out, err));
}

int32_t x0x_subscribe(uint64_t agent, const char *topic, size_t topic_len,
                      const x0x_sub_options *options, uint64_t *sub_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goSubscribe(agent, (char *)topic, topic_len, (x0x_sub_options *)options, sub_out, err));
}

int32_t x0x_send(uint64_t agent, const uint8_t agent_id[X0X_ID_SIZE],
                 const void *payload, size_t payload_len, uint32_t flags, uint32_t timeout_ms,
                 uint64_t token, uint64_t *op_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goSend(agent, (uint8_t *)agent_id, (void *)payload, payload_len, flags, timeout_ms, token, op_out, err));
}

int32_t x0x_inbox_open(uint64_t agent, uint32_t credit, uint64_t *inbox_out, x0x_err *err)
{
    FORKED(err);
    ENTER(goInboxOpen(agent, credit, inbox_out, err));
}

int32_t x0x_credit_add(uint64_t handle, uint32_t n)
{
    FORKED(NULL);
    ENTER(goCreditAdd(handle, n));
}

/* ------------------------------------------------------------------ logs */

int32_t x0x_log_to_queue(uint64_t queue, int32_t level)
{
    FORKED(NULL);
    ENTER(goLogToQueue(queue, level));
}
