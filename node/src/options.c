#include "addon.h"
#include "abi_gen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Each field is looked up under its C name, as lib/options.js writes it; absent is zero. The
 * list of fields comes from the header, so a new option needs no code here. */

static bool refuse(napi_env env, const char *field)
{
    char text[96] = "option has the wrong type: ";
    strncat(text, field, sizeof text - strlen(text) - 1);
    napi_throw_type_error(env, "X0X_E_INVALID_ARGUMENT", text);
    return false;
}

/* True with *present false when the property is undefined. */
static bool property(napi_env env, napi_value object, const char *field, napi_value *value, bool *present)
{
    napi_valuetype type;
    if (napi_get_named_property(env, object, field, value) != napi_ok || napi_typeof(env, *value, &type) != napi_ok)
        return false;
    *present = type != napi_undefined;
    return true;
}

static bool number(napi_env env, napi_value object, const char *field, double low, double high, double *out)
{
    napi_value value;
    bool present;
    *out = 0;
    if (!property(env, object, field, &value, &present))
        return false;
    if (!present)
        return true;
    if (napi_get_value_double(env, value, out) != napi_ok || *out != floor(*out) || *out < low || *out > high)
        return refuse(env, field);
    return true;
}

static void *keep(x0x_strings *owned, size_t size)
{
    if (owned->len == sizeof owned->items / sizeof owned->items[0])
        return NULL;
    void *p = malloc(size ? size : 1);
    if (p)
        owned->items[owned->len++] = p;
    return p;
}

static bool string(napi_env env, napi_value object, const char *field, x0x_strings *owned, const char **out)
{
    napi_value value;
    bool present;
    size_t len;
    if (!property(env, object, field, &value, &present))
        return false;
    if (!present)
        return true;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &len) != napi_ok)
        return refuse(env, field);
    char *text = keep(owned, len + 1);
    if (!text || napi_get_value_string_utf8(env, value, text, len + 1, &len) != napi_ok || strlen(text) != len)
        return refuse(env, field); /* an embedded NUL would cut the text short */
    *out = text;
    return true;
}

static bool bytes(napi_env env, napi_value object, const char *field, x0x_strings *owned, const uint8_t **out, size_t *len)
{
    napi_value value;
    bool present, is_buffer = false;
    void *data;
    if (!property(env, object, field, &value, &present))
        return false;
    if (!present)
        return true;
    if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
        napi_get_buffer_info(env, value, &data, len) != napi_ok)
        return refuse(env, field);
    /* Borrowed, not copied: the library copies within the call, and a copy here would be one
     * more place where a secret key stays in memory. */
    (void)owned;
    *out = data;
    return true;
}

#define READ_STRING(f) ok = ok && string(env, object, #f, owned, &o->f);
#define READ_BYTES(f) ok = ok && bytes(env, object, #f, owned, &o->f, &o->f##_len);
#define READ_U32(f) ok = ok && number(env, object, #f, 0, UINT32_MAX, &n); if (ok) o->f = (uint32_t)n;
#define READ_I32(f) ok = ok && number(env, object, #f, INT32_MIN, INT32_MAX, &n); if (ok) o->f = (int32_t)n;
#define READ_U64(f) ok = ok && number(env, object, #f, 0, 9007199254740991.0, &n); if (ok) o->f = (uint64_t)n;

#define DEFINE_READER(type, FIELDS) \
    bool x0x_read_##type(napi_env env, napi_value object, x0x_##type *o, x0x_strings *owned) \
    { \
        bool ok = true; \
        double n = 0; \
        (void)owned, (void)n; \
        memset(o, 0, sizeof *o); \
        o->size = sizeof *o; \
        FIELDS(READ_STRING, READ_BYTES, READ_U32, READ_I32, READ_U64) \
        return ok; \
    }

DEFINE_READER(options, X0X_OPTIONS_FIELDS)
DEFINE_READER(sub_options, X0X_SUB_OPTIONS_FIELDS)
DEFINE_READER(queue_options, X0X_QUEUE_OPTIONS_FIELDS)

void x0x_strings_free(x0x_strings *owned)
{
    while (owned->len)
        free(owned->items[--owned->len]);
}
