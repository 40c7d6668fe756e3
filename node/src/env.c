#define _DEFAULT_SOURCE /* SA_ONSTACK */
#include "addon.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libuv installs its SIGCHLD handler without SA_ONSTACK when a child is spawned, and drops it
 * with the last child. The library's threads can not block SIGCHLD (the Go runtime unblocks
 * it), and a handler without an alternate stack that lands on one of them overruns a goroutine
 * stack. So, while a queue is open, a watcher of our own keeps libuv's handler installed, and
 * the flag that we add to it stays. */
static void sigchld_on_alternate_stack(void)
{
    struct sigaction sa;
    if (sigaction(SIGCHLD, NULL, &sa) != 0 || (sa.sa_flags & SA_ONSTACK))
        return;
    if (!(sa.sa_flags & SA_SIGINFO) && (sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN))
        return;
    sa.sa_flags |= SA_ONSTACK;
    sigaction(SIGCHLD, &sa, NULL);
}

static void on_sigchld(uv_handle_t *handle, int signum)
{
    (void)handle, (void)signum; /* the handler's presence is all that is wanted */
}

static void maybe_finish(x0x_env *e)
{
    if (!e->ending || e->uv_handles > 0)
        return;
    napi_remove_async_cleanup_hook(e->cleanup);
    free(e->agents);
    free(e);
}

static void on_handle_closed(uv_handle_t *handle)
{
    x0x_env *e = uv_handle_get_data(handle);
    free(handle);
    e->uv_handles--;
    maybe_finish(e);
}

static uv_handle_t *handle_new(x0x_env *e, int type)
{
    uv_handle_t *handle = calloc(1, uv_handle_size(type));
    if (handle)
        uv_handle_set_data(handle, e);
    return handle;
}

static void handle_close(uv_handle_t **handle)
{
    if (*handle)
        uv_close(*handle, on_handle_closed);
    *handle = NULL;
}

/* The eventfd is readable: let JavaScript drain once. If records remain the descriptor stays
 * readable and libuv calls again in the next turn of the loop, after timers and other I/O had
 * theirs, so a flood of messages can not starve the program. */
static void on_readable(uv_handle_t *handle, int status, int events)
{
    (void)events;
    x0x_env *e = uv_handle_get_data(handle);
    if (status < 0 || e->ending || !e->on_wake)
        return;
    napi_handle_scope scope;
    if (napi_open_handle_scope(e->env, &scope) != napi_ok)
        return;
    napi_value fn, receiver, result;
    if (napi_get_reference_value(e->env, e->on_wake, &fn) == napi_ok && napi_get_global(e->env, &receiver) == napi_ok &&
        napi_make_callback(e->env, e->context, receiver, fn, 0, NULL, &result) == napi_pending_exception) {
        napi_value error; /* an exception of ours or of a listener: as uncaught as any other */
        if (napi_get_and_clear_last_exception(e->env, &error) == napi_ok && !e->ending)
            napi_fatal_exception(e->env, error);
    }
    napi_close_handle_scope(e->env, scope);
}

int32_t x0x_env_queue_open(x0x_env *e, const x0x_queue_options *options)
{
    if (e->queue)
        return X0X_OK;
    int32_t fd = -1;
    int32_t status = x0x_queue_new(options, &e->queue, &e->err);
    if (status < 0)
        return status;
    status = x0x_queue_fd(e->queue, &fd);
    if (status == X0X_OK) {
        e->poll = handle_new(e, UV_POLL_HANDLE);
        if (e->poll && uv_poll_init(e->loop, e->poll, fd) == 0) {
            e->uv_handles++;
            uv_poll_start(e->poll, UV_POLL_READABLE, on_readable);
            uv_unref(e->poll);
        } else {
            free(e->poll);
            e->poll = NULL;
            status = X0X_E_IO;
        }
    }
    if (status != X0X_OK) {
        x0x_handle_close(e->queue);
        e->queue = 0;
        e->err.code = status;
        strncpy(e->err.message, "cannot watch the queue of the library", sizeof e->err.message - 1);
        return status;
    }
    e->chld = handle_new(e, UV_SIGNAL_HANDLE);
    if (e->chld && uv_signal_init(e->loop, e->chld) == 0) {
        e->uv_handles++;
        uv_signal_start(e->chld, on_sigchld, SIGCHLD);
        uv_unref(e->chld);
    } else {
        free(e->chld);
        e->chld = NULL;
    }
    sigchld_on_alternate_stack();
    return X0X_OK;
}

int32_t x0x_env_queue_close(x0x_env *e)
{
    if (!e->queue)
        return X0X_OK;
    /* Leave the descriptor before the library closes it: its number may be reused at once. */
    if (e->poll)
        uv_poll_stop(e->poll);
    int32_t status = x0x_handle_close(e->queue);
    if (status == X0X_E_BUSY) {
        if (e->poll)
            uv_poll_start(e->poll, UV_POLL_READABLE, on_readable);
        return status;
    }
    handle_close(&e->poll);
    handle_close(&e->chld);
    e->queue = 0;
    return status;
}

bool x0x_env_remember(x0x_env *e, uint64_t agent)
{
    if (e->agents_len == e->agents_cap) {
        size_t cap = e->agents_cap ? 2 * e->agents_cap : 8;
        uint64_t *grown = realloc(e->agents, cap * sizeof *grown);
        if (!grown)
            return false;
        e->agents = grown;
        e->agents_cap = cap;
    }
    e->agents[e->agents_len++] = agent;
    return true;
}

void x0x_env_forget(x0x_env *e, uint64_t agent)
{
    for (size_t i = 0; i < e->agents_len; i++) {
        if (e->agents[i] == agent) {
            e->agents[i] = e->agents[--e->agents_len];
            return;
        }
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* All agents close at the same time, so the whole takes one grace, not one per agent. Being
 * gone takes a little longer than the grace; the limit is for a machine that is out of breath. */
void x0x_env_close_agents(x0x_env *e, uint32_t grace_ms)
{
    int64_t deadline = now_ms() + grace_ms + 1500;
    for (size_t i = 0; i < e->agents_len; i++)
        x0x_close(e->agents[i], grace_ms);
    for (size_t i = 0; i < e->agents_len; i++) {
        int64_t left = deadline - now_ms();
        x0x_close_wait(e->agents[i], left > 1 ? (uint32_t)left : 1);
    }
    e->agents_len = 0;
}

/* The environment ends: natural exit, process.exit() of a worker, or worker.terminate(). No
 * JavaScript runs any more. The loop is still turned until the hook is removed. */
static void on_env_end(napi_async_cleanup_hook_handle handle, void *data)
{
    x0x_env *e = data;
    e->cleanup = handle;
    e->ending = true;
    x0x_env_close_agents(e, 250);
    if (x0x_env_queue_close(e) != X0X_OK) {
        /* An agent is still closing: its queue outlives us, unwatched. */
        handle_close(&e->poll);
        handle_close(&e->chld);
    }
    maybe_finish(e);
}

x0x_env *x0x_env_new(napi_env env)
{
    x0x_env *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->env = env;
    e->err.size = sizeof e->err;
    if (napi_get_uv_event_loop(env, (struct uv_loop_s **)&e->loop) != napi_ok ||
        napi_set_instance_data(env, e, NULL, NULL) != napi_ok ||
        napi_add_async_cleanup_hook(env, on_env_end, e, &e->cleanup) != napi_ok) {
        free(e);
        return NULL;
    }
    return e;
}

x0x_env *x0x_env_get(napi_env env)
{
    void *e = NULL;
    napi_get_instance_data(env, &e);
    return e;
}
