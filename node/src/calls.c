#include "addon.h"

#include <stdlib.h>
#include <string.h>

/* One JavaScript function per function of the library. lib/ is the only caller and checks its
 * arguments, so a wrong type here is a defect of ours: a TypeError that names the function.
 * Results: a number >= 0 is a success or a handle, < 0 a status whose detail lastError() gives. */

static bool arguments(napi_env env, napi_callback_info info, size_t want, napi_value *argv, x0x_env **e)
{
    size_t argc = want;
    *e = x0x_env_get(env);
    return napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= want && *e;
}

static napi_value wrong(napi_env env, const char *function)
{
    bool pending = false;
    if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
        napi_throw_type_error(env, "X0X_E_INVALID_ARGUMENT", function);
    return NULL;
}

static napi_value number(napi_env env, double n)
{
    napi_value v = NULL;
    napi_create_double(env, n, &v);
    return v;
}

static napi_value status_of(napi_env env, int32_t n)
{
    napi_value v = NULL;
    napi_create_int32(env, n, &v);
    return v;
}

static bool handle_arg(napi_env env, napi_value v, uint64_t *out)
{
    int64_t n;
    if (napi_get_value_int64(env, v, &n) != napi_ok || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

static bool u32_arg(napi_env env, napi_value v, uint32_t *out)
{
    return napi_get_value_uint32(env, v, out) == napi_ok;
}

/* null stands for no bytes. */
static bool bytes_arg(napi_env env, napi_value v, const void **data, size_t *len)
{
    void *p = NULL;
    *data = NULL;
    *len = 0;
    if (napi_get_buffer_info(env, v, &p, len) == napi_ok) {
        *data = p;
        return true;
    }
    napi_valuetype type;
    return napi_typeof(env, v, &type) == napi_ok && type == napi_null;
}

/* A topic of more than the buffer is cut there, which is over the library's limit as well. */
static bool topic_arg(napi_env env, napi_value v, char topic[X0X_MAX_TOPIC_NAME + 8], size_t *len)
{
    return napi_get_value_string_utf8(env, v, topic, X0X_MAX_TOPIC_NAME + 8, len) == napi_ok;
}

static bool flag_arg(napi_env env, napi_value v, bool *out)
{
    return napi_get_value_bool(env, v, out) == napi_ok;
}

/* An operation starts: its handle if one was asked for, else 0; or the status. */
static napi_value started(napi_env env, int32_t status, uint64_t op)
{
    return status < 0 ? status_of(env, status) : number(env, (double)op);
}

/* ------------------------------------------------------------------ environment and queue */

/* start(onWake): once per environment. */
static napi_value js_start(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1], name, resource;
    if (!arguments(env, info, 1, a, &e) || e->on_wake)
        return wrong(env, "start");
    if (napi_create_string_utf8(env, "x0x", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_object(env, &resource) != napi_ok ||
        napi_async_init(env, resource, name, &e->context) != napi_ok ||
        napi_create_reference(env, a[0], 1, &e->on_wake) != napi_ok)
        return wrong(env, "start");
    return NULL;
}

/* queueOpen(options) */
static napi_value js_queue_open(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    x0x_queue_options o;
    x0x_strings owned = {.len = 0};
    if (!arguments(env, info, 1, a, &e) || !x0x_read_queue_options(env, a[0], &o, &owned))
        return wrong(env, "queueOpen");
    return status_of(env, x0x_env_queue_open(e, &o));
}

static napi_value js_queue_close(napi_env env, napi_callback_info info)
{
    (void)info;
    return status_of(env, x0x_env_queue_close(x0x_env_get(env)));
}

/* keepAlive(bool): whether the queue keeps the event loop running. */
static napi_value js_keep_alive(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    bool on;
    if (!arguments(env, info, 1, a, &e) || !flag_arg(env, a[0], &on))
        return wrong(env, "keepAlive");
    if (e->poll)
        (on ? uv_ref : uv_unref)(e->poll);
    return NULL;
}

/* drain(buffer): the bytes written, or X0X_E_TOO_SMALL with the size in lastError().flags, or
 * another status. Whether records remain does not matter: the loop calls again if so. */
static napi_value js_drain(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    void *buf;
    size_t cap, bytes = 0;
    uint32_t records = 0;
    if (!arguments(env, info, 1, a, &e) || napi_get_buffer_info(env, a[0], &buf, &cap) != napi_ok)
        return wrong(env, "drain");
    int32_t status = x0x_queue_drain(e->queue, buf, cap, &bytes, &records);
    if (status < 0) {
        e->err.code = status;
        e->err.flags = (uint32_t)bytes;
        e->err.message[0] = 0;
        return status_of(env, status);
    }
    return number(env, (double)bytes);
}

/* ------------------------------------------------------------------ agents */

static napi_value js_open(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    x0x_options o;
    x0x_strings owned = {.len = 0};
    uint64_t agent = 0;
    if (!arguments(env, info, 1, a, &e) || !x0x_read_options(env, a[0], &o, &owned)) {
        x0x_strings_free(&owned);
        return wrong(env, "open");
    }
    int32_t status = x0x_open(&o, e->queue, &agent, &e->err);
    x0x_strings_free(&owned);
    if (status >= 0 && !x0x_env_remember(e, agent)) {
        x0x_close(agent, 1);
        status = X0X_E_LIMIT;
    }
    return status < 0 ? status_of(env, status) : number(env, (double)agent);
}

static napi_value js_close(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[2];
    uint64_t agent;
    uint32_t grace;
    if (!arguments(env, info, 2, a, &e) || !handle_arg(env, a[0], &agent) || !u32_arg(env, a[1], &grace))
        return wrong(env, "close");
    return status_of(env, x0x_close(agent, grace));
}

/* forget(agent): its last record was read. */
static napi_value js_forget(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    uint64_t agent;
    if (!arguments(env, info, 1, a, &e) || !handle_arg(env, a[0], &agent))
        return wrong(env, "forget");
    x0x_env_forget(e, agent);
    return NULL;
}

/* closeAgents(graceMs): blocks; for the end of the process only. */
static napi_value js_close_agents(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    uint32_t timeout;
    if (!arguments(env, info, 1, a, &e) || !u32_arg(env, a[0], &timeout))
        return wrong(env, "closeAgents");
    x0x_env_close_agents(e, timeout);
    return NULL;
}

static napi_value js_handle_close(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    uint64_t handle;
    if (!arguments(env, info, 1, a, &e) || !handle_arg(env, a[0], &handle))
        return wrong(env, "handleClose");
    return status_of(env, x0x_handle_close(handle));
}

/* ------------------------------------------------------------------ operations */

/* call(handle, method, args, token, wantOp) */
static napi_value js_call(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[5];
    uint64_t handle, token, op = 0;
    uint32_t method;
    const void *args;
    size_t len;
    bool want;
    if (!arguments(env, info, 5, a, &e) || !handle_arg(env, a[0], &handle) || !u32_arg(env, a[1], &method) ||
        !bytes_arg(env, a[2], &args, &len) || !handle_arg(env, a[3], &token) || !flag_arg(env, a[4], &want))
        return wrong(env, "call");
    int32_t status = x0x_call(handle, method, args, len, token, want ? &op : NULL, &e->err);
    return started(env, status, op);
}

/* callNow(handle, method, args): the MessagePack result as a Buffer, or a status. */
static napi_value js_call_now(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[3], result = NULL;
    uint64_t handle;
    uint32_t method;
    const void *args;
    size_t len, out_len = 0;
    if (!arguments(env, info, 3, a, &e) || !handle_arg(env, a[0], &handle) || !u32_arg(env, a[1], &method) ||
        !bytes_arg(env, a[2], &args, &len))
        return wrong(env, "callNow");
    unsigned char small[4096], *out = small, *grown = NULL;
    size_t cap = sizeof small;
    int32_t status;
    /* The answer may grow between two tries (a list of peers); four doublings bound that. */
    for (int i = 0; i < 4; i++) {
        status = x0x_call_now(handle, method, args, len, out, cap, &out_len, &e->err);
        if (status != X0X_E_TOO_SMALL)
            break;
        free(grown);
        cap = 2 * out_len;
        out = grown = malloc(cap);
        if (!grown)
            break;
    }
    if (status < 0)
        result = status_of(env, status);
    else
        napi_create_buffer_copy(env, out_len, out, NULL, &result);
    free(grown);
    return result;
}

static napi_value js_op_cancel(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    uint64_t op;
    if (!arguments(env, info, 1, a, &e) || !handle_arg(env, a[0], &op))
        return wrong(env, "opCancel");
    return status_of(env, x0x_op_cancel(op));
}

/* ------------------------------------------------------------------ messages */

/* publish(agent, topic, payload, timeoutMs, token, wantOp) */
static napi_value js_publish(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[6];
    uint64_t agent, token, op = 0;
    char topic[X0X_MAX_TOPIC_NAME + 8];
    size_t topic_len, len;
    const void *payload;
    uint32_t timeout;
    bool want;
    if (!arguments(env, info, 6, a, &e) || !handle_arg(env, a[0], &agent) || !topic_arg(env, a[1], topic, &topic_len) ||
        !bytes_arg(env, a[2], &payload, &len) || !u32_arg(env, a[3], &timeout) || !handle_arg(env, a[4], &token) ||
        !flag_arg(env, a[5], &want))
        return wrong(env, "publish");
    int32_t status = x0x_publish(agent, topic, topic_len, payload, len, timeout, token, want ? &op : NULL, &e->err);
    return started(env, status, op);
}

/* send(agent, id, payload, flags, timeoutMs, token, wantOp) */
static napi_value js_send(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[7];
    uint64_t agent, token, op = 0;
    const void *id, *payload;
    size_t id_len, len;
    uint32_t flags, timeout;
    bool want;
    if (!arguments(env, info, 7, a, &e) || !handle_arg(env, a[0], &agent) || !bytes_arg(env, a[1], &id, &id_len) ||
        id_len != X0X_ID_SIZE || !bytes_arg(env, a[2], &payload, &len) || !u32_arg(env, a[3], &flags) ||
        !u32_arg(env, a[4], &timeout) || !handle_arg(env, a[5], &token) || !flag_arg(env, a[6], &want))
        return wrong(env, "send");
    int32_t status = x0x_send(agent, id, payload, len, flags, timeout, token, want ? &op : NULL, &e->err);
    return started(env, status, op);
}

/* subscribe(agent, topic, options) */
static napi_value js_subscribe(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[3];
    uint64_t agent, sub = 0;
    char topic[X0X_MAX_TOPIC_NAME + 8];
    size_t topic_len;
    x0x_sub_options o;
    x0x_strings owned = {.len = 0};
    if (!arguments(env, info, 3, a, &e) || !handle_arg(env, a[0], &agent) || !topic_arg(env, a[1], topic, &topic_len) ||
        !x0x_read_sub_options(env, a[2], &o, &owned))
        return wrong(env, "subscribe");
    int32_t status = x0x_subscribe(agent, topic, topic_len, &o, &sub, &e->err);
    return started(env, status, sub);
}

/* inboxOpen(agent, credit) */
static napi_value js_inbox_open(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[2];
    uint64_t agent, inbox = 0;
    uint32_t credit;
    if (!arguments(env, info, 2, a, &e) || !handle_arg(env, a[0], &agent) || !u32_arg(env, a[1], &credit))
        return wrong(env, "inboxOpen");
    int32_t status = x0x_inbox_open(agent, credit, &inbox, &e->err);
    return started(env, status, inbox);
}

static napi_value js_credit_add(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[2];
    uint64_t handle;
    uint32_t n;
    if (!arguments(env, info, 2, a, &e) || !handle_arg(env, a[0], &handle) || !u32_arg(env, a[1], &n))
        return wrong(env, "creditAdd");
    return status_of(env, x0x_credit_add(handle, n));
}

/* logToQueue(level) */
static napi_value js_log_to_queue(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    int32_t level;
    if (!arguments(env, info, 1, a, &e) || napi_get_value_int32(env, a[0], &level) != napi_ok)
        return wrong(env, "logToQueue");
    return status_of(env, x0x_log_to_queue(e->queue, level));
}

/* ------------------------------------------------------------------ about the library */

static napi_value js_last_error(napi_env env, napi_callback_info info)
{
    (void)info;
    x0x_env *e = x0x_env_get(env);
    napi_value v = NULL, message;
    if (napi_create_object(env, &v) != napi_ok ||
        napi_create_string_utf8(env, e->err.message, NAPI_AUTO_LENGTH, &message) != napi_ok)
        return NULL;
    napi_set_named_property(env, v, "code", status_of(env, e->err.code));
    napi_set_named_property(env, v, "flags", number(env, e->err.flags));
    napi_set_named_property(env, v, "message", message);
    return v;
}

static napi_value js_version(napi_env env, napi_callback_info info)
{
    (void)info;
    char build[512];
    size_t len = 0;
    napi_value v = NULL, text;
    if (napi_create_object(env, &v) != napi_ok)
        return NULL;
    if (napi_create_string_utf8(env, x0x_version(), NAPI_AUTO_LENGTH, &text) == napi_ok)
        napi_set_named_property(env, v, "version", text);
    if (x0x_build_info(build, sizeof build, &len) == X0X_OK && napi_create_string_utf8(env, build, len, &text) == napi_ok)
        napi_set_named_property(env, v, "build", text);
    napi_set_named_property(env, v, "abi", number(env, x0x_abi_version()));
    napi_set_named_property(env, v, "features", number(env, (double)x0x_features()));
    return v;
}

static napi_value js_live_handles(napi_env env, napi_callback_info info)
{
    x0x_env *e;
    napi_value a[1];
    uint32_t kind;
    if (!arguments(env, info, 1, a, &e) || !u32_arg(env, a[0], &kind))
        return wrong(env, "liveHandles");
    return number(env, (double)x0x_live_handles(kind));
}

napi_value x0x_exports(napi_env env, napi_value exports)
{
    static const struct {
        const char *name;
        napi_callback fn;
    } functions[] = {
        {"start", js_start},
        {"queueOpen", js_queue_open},
        {"queueClose", js_queue_close},
        {"keepAlive", js_keep_alive},
        {"drain", js_drain},
        {"open", js_open},
        {"close", js_close},
        {"forget", js_forget},
        {"closeAgents", js_close_agents},
        {"handleClose", js_handle_close},
        {"call", js_call},
        {"callNow", js_call_now},
        {"opCancel", js_op_cancel},
        {"publish", js_publish},
        {"send", js_send},
        {"subscribe", js_subscribe},
        {"inboxOpen", js_inbox_open},
        {"creditAdd", js_credit_add},
        {"logToQueue", js_log_to_queue},
        {"lastError", js_last_error},
        {"version", js_version},
        {"liveHandles", js_live_handles},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        napi_value fn;
        if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].fn, NULL, &fn) != napi_ok ||
            napi_set_named_property(env, exports, functions[i].name, fn) != napi_ok)
            return NULL;
    }
    return exports;
}

NAPI_MODULE_INIT()
{
    if (!x0x_env_new(env)) {
        napi_throw_error(env, "X0X_E_LIMIT", "x0x: cannot set up the addon in this environment");
        return NULL;
    }
    return x0x_exports(env, exports);
}
