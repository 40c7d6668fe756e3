/* The addon's shared state: one x0x_env per JavaScript environment (the main thread and each
 * worker have their own), holding one queue that all agents of the environment share.
 *
 * Everything here runs on the environment's own thread. The library tells that records wait
 * through the queue's eventfd, which the environment's libuv loop polls, so no thread of the
 * library ever calls into this file and nothing needs a lock.
 */
#ifndef X0X_ADDON_H
#define X0X_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "uv_lite.h"
#include "x0x.h"

typedef struct x0x_env {
    napi_env env;
    uv_loop_t *loop;
    napi_async_cleanup_hook_handle cleanup; /* removed once the last libuv handle is closed */

    uint64_t queue;      /* 0 while no agent is open */
    uv_handle_t *poll;   /* watches the queue's eventfd */
    uv_handle_t *chld;   /* keeps libuv's SIGCHLD handler installed, see env.c */
    unsigned uv_handles; /* not yet closed by libuv */
    bool ending;

    napi_ref on_wake;            /* the JavaScript function that drains */
    napi_async_context context;  /* in which it runs */

    uint64_t *agents; /* opened here and not yet forgotten, for the end of the environment */
    size_t agents_len, agents_cap;

    x0x_err err; /* detail of the latest failed call, read by lastError() */
} x0x_env;

/* env.c: life of the environment and of its queue. */
x0x_env *x0x_env_new(napi_env env);
x0x_env *x0x_env_get(napi_env env);
int32_t x0x_env_queue_open(x0x_env *e, const x0x_queue_options *options);
int32_t x0x_env_queue_close(x0x_env *e);
bool x0x_env_remember(x0x_env *e, uint64_t agent);
void x0x_env_forget(x0x_env *e, uint64_t agent);
void x0x_env_close_agents(x0x_env *e, uint32_t grace_ms);

/* options.c: fills an option struct from a JavaScript object; false with an exception pending. */
typedef struct x0x_strings { /* what the struct borrows from the object, freed after the call */
    void *items[16];
    size_t len;
} x0x_strings;
bool x0x_read_options(napi_env env, napi_value object, x0x_options *out, x0x_strings *owned);
bool x0x_read_sub_options(napi_env env, napi_value object, x0x_sub_options *out, x0x_strings *owned);
bool x0x_read_queue_options(napi_env env, napi_value object, x0x_queue_options *out, x0x_strings *owned);
void x0x_strings_free(x0x_strings *owned);

/* calls.c: the functions that lib/ calls, one per function of the library. */
napi_value x0x_exports(napi_env env, napi_value exports);

#endif
