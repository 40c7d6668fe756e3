/* Runs include/scenarios.json through the C ABI:
 *
 *     scenarios LIST TMP [PART OF A NAME]
 *
 * TMP is an empty folder. Prints a line per scenario and the count; ends with 0 only if every
 * scenario passed and none was skipped. */
#include "harness.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "json.h"

#define MAX_ACTORS 8
#define MAX_SUBS 8
#define STEP_MS 20000

/* A record that was drained and not asked for yet. */
struct kept {
    struct kept *next;
    x0x_record *record;
};
struct list {
    struct kept *first, **tail;
};

struct sub {
    char name[32];
    uint64_t handle;
    int asked; /* credit was given for a message that has not come */
    struct list records;
};

struct actor {
    char name[32];
    uint64_t handle, inbox;
    int closed, inbox_asked;
    uint8_t agent_id[X0X_ID_SIZE], machine_id[X0X_ID_SIZE];
    struct sub subs[MAX_SUBS];
    int nsubs;
    struct list directs, events;
};

/* What a call gave, for "expect" and "save". */
struct field {
    char name[24];
    enum { F_ID, F_BYTES, F_TEXT, F_BOOL, F_UINT } type;
    uint8_t id[X0X_ID_SIZE];
    const void *bytes;
    size_t len;
    char text[300];
    uint64_t number;
};
struct result {
    char name[32]; /* under which it is saved */
    struct field fields[8];
    int n;
};

static uint64_t queue, token;
static struct actor actors[MAX_ACTORS];
static int nactors;
static struct result saved[8];
static int nsaved;
static char network[64], runtime[512], home[512], fault[1024];
static struct list completions;
static const struct json *agents; /* of the scenario */

/* A fault of the scenario or a wrong result; an error that the library gave is a status. */
__attribute__((format(printf, 1, 2))) static int32_t set_fault(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(fault, sizeof fault, format, list);
    va_end(list);
    return X0X_E_UNSUPPORTED;
}

/* ------------------------------------------------------------------ records */

static void keep(struct list *l, const x0x_record *r)
{
    struct kept *k = malloc(sizeof *k);
    k->record = malloc(r->bytes);
    memcpy(k->record, r, r->bytes);
    k->next = NULL;
    if (l->tail == NULL)
        l->tail = &l->first;
    *l->tail = k;
    l->tail = &k->next;
}

static x0x_record *take(struct list *l)
{
    struct kept *k = l->first;
    if (k == NULL)
        return NULL;
    x0x_record *r = k->record;
    l->first = k->next;
    if (l->first == NULL)
        l->tail = &l->first;
    free(k);
    return r;
}

static void sort_in(const x0x_record *r)
{
    if (r->kind == X0X_R_COMPLETION) {
        keep(&completions, r);
        return;
    }
    for (int i = 0; i < nactors; i++) {
        struct actor *a = &actors[i];
        if (r->id == a->handle && r->kind >= X0X_R_CONNECTED && r->kind <= X0X_R_SESSION_RESET) {
            keep(&a->events, r);
            return;
        }
        if (r->id == a->inbox && r->kind == X0X_R_DIRECT) {
            a->inbox_asked = 0;
            keep(&a->directs, r);
            return;
        }
        for (int s = 0; s < a->nsubs; s++)
            if (r->id == a->subs[s].handle && (r->kind == X0X_R_MESSAGE || r->kind == X0X_R_LAGGED)) {
                if (r->kind == X0X_R_MESSAGE)
                    a->subs[s].asked = 0;
                keep(&a->subs[s].records, r);
                return;
            }
    }
}

/* Drains what is there, waiting at most until `end`. */
static void pump(uint64_t end)
{
    static unsigned char *buf;
    static size_t cap = X0X_DRAIN_HINT;
    uint64_t now = now_ms();
    if (buf == NULL)
        buf = aligned_alloc(8, cap);
    if (x0x_queue_wait(queue, now < end ? (uint32_t)(end - now) : 0) != X0X_OK)
        return;
    size_t n;
    uint32_t records;
    int32_t s = x0x_queue_drain(queue, buf, cap, &n, &records);
    if (s == X0X_E_TOO_SMALL) {
        free(buf);
        buf = aligned_alloc(8, cap = n);
        return;
    }
    CHECK(s == X0X_OK || s == X0X_S_MORE);
    for (const x0x_record *r = x0x_record_first(buf, n); r; r = x0x_record_next(buf, n, r))
        sort_in(r);
}

/* The completion of a token, or NULL in time; others wait. */
static x0x_record *completed(uint64_t want, uint64_t end)
{
    for (;;) {
        for (struct kept **k = &completions.first; *k; k = &(*k)->next)
            if ((*k)->record->id == want) {
                x0x_record *r = (*k)->record;
                struct kept *gone = *k;
                if (gone->next == NULL)
                    completions.tail = k;
                *k = gone->next;
                free(gone);
                return r;
            }
        if (now_ms() >= end)
            return NULL;
        pump(end);
    }
}

static x0x_record *arrived(struct list *l, uint64_t end)
{
    for (;;) {
        x0x_record *r = take(l);
        if (r != NULL || now_ms() >= end)
            return r;
        pump(end);
    }
}

/* ------------------------------------------------------------------ values */

struct bytes {
    unsigned char *p;
    size_t len;
};

static struct bytes payload(const struct json *j)
{
    struct bytes b = {malloc(1), 0};
    const char *hex, *repeat;
    if (j == NULL)
        return b;
    if (j->type == J_STRING)
        return (struct bytes){(unsigned char *)j->text, j->len};
    if ((hex = json_str(j, "hex")) != NULL) {
        b.len = strlen(hex) / 2;
        b.p = malloc(b.len + 1);
        for (size_t i = 0; i < b.len; i++) {
            unsigned v;
            CHECK(sscanf(hex + 2 * i, "%2x", &v) == 1);
            b.p[i] = (unsigned char)v;
        }
    } else if ((repeat = json_str(j, "repeat")) != NULL) {
        size_t n = strlen(repeat), times = (size_t)json_num(j, "times", 0);
        b.len = n * times;
        b.p = malloc(b.len + 1);
        for (size_t i = 0; i < times; i++)
            memcpy(b.p + i * n, repeat, n);
    } else {
        uint64_t seed = (uint64_t)json_num(j, "random", 0);
        b.len = (size_t)json_num(j, "size", 0);
        b.p = malloc(b.len + 1);
        for (size_t i = 0; i < b.len; i++)
            b.p[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8) * 13);
    }
    return b;
}

/* Message i of a series. */
static struct bytes numbered(struct bytes b, int i)
{
    unsigned char *p = malloc(b.len + 16);
    memcpy(p, b.p, b.len);
    return (struct bytes){p, b.len + (size_t)snprintf((char *)p + b.len, 16, "-%d", i)};
}

static struct actor *find(const char *name, size_t len)
{
    for (int i = nactors - 1; i >= 0; i--)
        if (strlen(actors[i].name) == len && memcmp(actors[i].name, name, len) == 0)
            return &actors[i];
    return NULL;
}

static int resolve_id(const struct json *j, uint8_t *id)
{
    if (j == NULL)
        return 0;
    if (j->type != J_STRING) {
        struct bytes b = payload(j);
        if (b.len != X0X_ID_SIZE)
            return 0;
        memcpy(id, b.p, X0X_ID_SIZE);
        return 1;
    }
    const char *dot = strchr(j->text, '.');
    size_t len = (dot ? (size_t)(dot - j->text) : strlen(j->text)) - 1;
    if (j->text[0] == '@') {
        const struct actor *a = find(j->text + 1, len);
        if (a == NULL)
            return 0;
        memcpy(id, dot ? a->machine_id : a->agent_id, X0X_ID_SIZE);
        return 1;
    }
    for (int i = 0; i < nsaved; i++)
        if (dot && strlen(saved[i].name) == len && memcmp(saved[i].name, j->text + 1, len) == 0)
            for (int f = 0; f < saved[i].n; f++)
                if (strcmp(saved[i].fields[f].name, dot + 1) == 0) {
                    memcpy(id, saved[i].fields[f].id, X0X_ID_SIZE);
                    return 1;
                }
    return 0;
}

static struct field *add(struct result *r, const char *name, int type)
{
    struct field *f = &r->fields[r->n++];
    CHECK(r->n <= 8);
    memset(f, 0, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->type = type;
    return f;
}
static void add_uint(struct result *r, const char *name, uint64_t v) { add(r, name, F_UINT)->number = v; }
static void add_bool(struct result *r, const char *name, int v) { add(r, name, F_BOOL)->number = v != 0; }
static void add_text(struct result *r, const char *name, const char *s, size_t n)
{
    struct field *f = add(r, name, F_TEXT);
    snprintf(f->text, sizeof f->text, "%.*s", (int)n, s ? s : "");
}
static void add_id(struct result *r, const char *name, const void *id)
{
    struct field *f = add(r, name, F_ID);
    if (id)
        memcpy(f->id, id, X0X_ID_SIZE);
}
static void add_bytes(struct result *r, const char *name, const void *p, size_t n)
{
    struct field *f = add(r, name, F_BYTES);
    f->bytes = p;
    f->len = n;
}

static int equal(const struct json *want, const struct field *f)
{
    uint8_t id[X0X_ID_SIZE];
    struct bytes b;
    switch (f->type) {
    case F_ID:
        return resolve_id(want, id) && memcmp(id, f->id, X0X_ID_SIZE) == 0;
    case F_BYTES:
        b = payload(want);
        return b.len == f->len && (b.len == 0 || memcmp(b.p, f->bytes, b.len) == 0);
    case F_TEXT:
        if (want->type == J_ARRAY) {
            for (const struct json *m = want->first; m; m = m->next)
                if (strcmp(m->text, f->text) == 0)
                    return 1;
            return 0;
        }
        return want->type == J_STRING && strcmp(want->text, f->text) == 0;
    case F_BOOL:
    case F_UINT:
        return (uint64_t)want->number == f->number;
    }
    return 0;
}

static int32_t compare(const struct json *expect, const struct result *r)
{
    for (const struct json *want = expect ? expect->first : NULL; want; want = want->next) {
        const struct field *f = NULL;
        for (int i = 0; i < r->n; i++)
            if (strcmp(r->fields[i].name, want->key) == 0)
                f = &r->fields[i];
        if (f == NULL)
            return set_fault("the result has no field %s", want->key);
        if (!equal(want, f))
            return set_fault("%s is %s%" PRIu64 " (%zu bytes)", want->key, f->text, f->number, f->len);
    }
    return X0X_OK;
}

/* ------------------------------------------------------------------ calls */

static const char *const levels[] = {"blocked", "unknown", "known", "trusted"};
static const char *const decisions[] = {"Unknown", "Accept", "AcceptWithFlag", "RejectBlocked", "RejectMachineMismatch"};
static const char *const outcomes[] = {"Direct", "Coordinated", "AlreadyConnected", "Unreachable", "NotFound"};

static unsigned char out[1 << 20];
static size_t out_len;

static x0x_reader call_now(uint64_t h, uint32_t method, const x0x_writer *w, int32_t *status)
{
    *status = x0x_call_now(h, method, w ? w->buf : NULL, w ? w->len : 0, out, sizeof out, &out_len, NULL);
    return x0x_reader_init(out, *status == X0X_OK ? out_len : 0);
}

/* Starts and awaits an asynchronous method; meta is left at its result. */
static int32_t call(const struct actor *a, uint32_t method, const x0x_writer *w, uint64_t end, x0x_reader *meta)
{
    uint64_t mine = ++token;
    int32_t s = x0x_call(a->handle, method, w ? w->buf : NULL, w ? w->len : 0, mine, NULL, NULL);
    if (s != X0X_OK)
        return s;
    x0x_record *r = completed(mine, end);
    if (r == NULL)
        return X0X_E_TIMEOUT;
    *meta = x0x_reader_init(x0x_record_meta(r), r->meta_len);
    x0x_read_array(meta);
    return (int32_t)x0x_read_int(meta);
}

static int32_t option_text(const struct json *spec, const char *key, const char **to)
{
    const char *s = json_str(spec, key);
    if (s == NULL)
        return X0X_OK;
    char *text = malloc(1024);
    if (strncmp(s, "$TMP", 4) == 0) {
        snprintf(text, 1024, "%s%s", home, s + 4);
    } else if (s[0] == '$') {
        const char *dot = strchr(s, '.');
        const struct actor *a = dot ? find(s + 1, (size_t)(dot - s - 1)) : NULL;
        int32_t status;
        size_t n;
        if (a == NULL)
            return set_fault("%s names nothing", s);
        x0x_reader m = call_now(a->handle, X0X_M_LOCAL_ADDRESSES, NULL, &status);
        x0x_read_array(&m);
        const char *p = x0x_read_str(&m, &n);
        if (m.failed)
            return set_fault("%s has no address", s);
        snprintf(text, 1024, "%.*s", (int)n, p);
    } else {
        snprintf(text, 1024, "%s", s);
    }
    *to = text;
    return X0X_OK;
}

static int32_t open_agent(const struct json *spec)
{
    char net[128];
    const char *suffix = json_str(spec, "network"), *from = json_str(spec, "accept_from");
    x0x_options o = {.size = sizeof o, .runtime_dir = runtime, .network_id = net};
    snprintf(net, sizeof net, "%s%s%s", network, suffix ? "-" : "", suffix ? suffix : "");
    struct {
        const char *key;
        const char **to;
    } texts[] = {{"name", &o.name}, {"home_dir", &o.home_dir}, {"identity_dir", &o.identity_dir}, {"bind", &o.bind},
                 {"bootstrap", &o.bootstrap}, {"machine_key_path", &o.machine_key_path}, {"agent_key_path", &o.agent_key_path}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int32_t s = option_text(spec, texts[i].key, texts[i].to);
        if (s != X0X_OK)
            return s;
    }
    struct {
        const char *key;
        uint32_t *to;
    } numbers[] = {{"dial_timeout_ms", &o.dial_timeout_ms}, {"send_timeout_ms", &o.send_timeout_ms}, {"peer_timeout_ms", &o.peer_timeout_ms},
                   {"session_ttl_ms", &o.session_ttl_ms}, {"close_grace_ms", &o.close_grace_ms}, {"inbox_messages", &o.inbox_messages},
                   {"max_operations", &o.max_operations}, {"max_peers", &o.max_peers}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i].to = (uint32_t)json_num(spec, numbers[i].key, 0);
    o.inbox_bytes = (uint64_t)json_num(spec, "inbox_bytes", 0);
    struct bytes key = payload(json_get(spec, "machine_key"));
    o.machine_key = key.p;
    o.machine_key_len = key.len;
    key = payload(json_get(spec, "agent_key"));
    o.agent_key = key.p;
    o.agent_key_len = key.len;
    if (json_num(spec, "no_local_discovery", 0) != 0)
        o.flags |= X0X_OPEN_NO_LOCAL_DISCOVERY;
    if (json_num(spec, "no_relay", 0) != 0)
        o.flags |= X0X_OPEN_NO_RELAY;
    for (uint32_t l = 0; from && l < 4; l++)
        if (strcmp(levels[l], from) == 0)
            o.accept_from = l;

    CHECK(nactors < MAX_ACTORS);
    struct actor *a = &actors[nactors];
    memset(a, 0, sizeof *a);
    snprintf(a->name, sizeof a->name, "%s", spec->key);
    int32_t s = x0x_open(&o, queue, &a->handle, NULL);
    if (s != X0X_OK)
        return s;
    nactors++;
    OK(x0x_agent_id(a->handle, a->agent_id));
    OK(x0x_machine_id(a->handle, a->machine_id));
    return x0x_inbox_open(a->handle, X0X_CREDIT_NONE, &a->inbox, NULL);
}

/* Sends or publishes a series, pipelined, and awaits every completion. */
static int32_t series(struct actor *a, const struct json *args, int direct, struct result *r, uint64_t end)
{
    uint8_t to[X0X_ID_SIZE];
    int count = (int)json_num(args, "count", 0), first = (int)json_num(args, "first", 0);
    uint32_t timeout = (uint32_t)json_num(args, "timeout_ms", 0);
    struct bytes p = payload(json_get(args, "payload")), topic = payload(json_get(args, "topic"));
    uint32_t flags = (json_num(args, "unordered", 0) != 0 ? X0X_SEND_UNORDERED : 0) |
                     (json_num(args, "fail_on_disconnect", 0) != 0 ? X0X_SEND_FAIL_ON_DISCONNECT : 0);
    int32_t status = X0X_OK;
    if (direct && !resolve_id(json_get(args, "to"), to))
        return set_fault("to names no id");
    uint64_t from = token + 1;
    for (int i = 0; i < (count ? count : 1) && status == X0X_OK; i++) {
        struct bytes b = count ? numbered(p, first + i) : p;
        status = direct ? x0x_send(a->handle, to, b.p, b.len, flags, timeout, ++token, NULL, NULL)
                        : x0x_publish(a->handle, (char *)topic.p, topic.len, b.p, b.len, timeout, ++token, NULL, NULL);
        if (status != X0X_OK)
            token--;
    }
    for (uint64_t t = from; t <= token; t++) {
        x0x_record *c = completed(t, end);
        if (c == NULL)
            return X0X_E_TIMEOUT;
        x0x_reader m = x0x_reader_init(x0x_record_meta(c), c->meta_len);
        size_t n;
        x0x_read_array(&m);
        int32_t s = (int32_t)x0x_read_int(&m);
        if (s != X0X_OK) {
            status = s;
        } else if (direct && t == token) {
            x0x_read_array(&m);
            const char *path = x0x_read_str(&m, &n);
            add_text(r, "path", path, n);
        }
    }
    return status;
}

static struct sub *find_sub(struct actor *a, const struct json *args)
{
    const char *name = json_str(args, "sub");
    for (int i = a->nsubs - 1; name && i >= 0; i--)
        if (strcmp(a->subs[i].name, name) == 0)
            return &a->subs[i];
    return NULL;
}

/* The next record of a subscription: one message is asked for at a time, so that the rest
 * waits in the library, as its limits want. */
static int32_t next(struct sub *s, uint64_t end, x0x_record **r)
{
    if (s->records.first == NULL && !s->asked) {
        int32_t status = x0x_credit_add(s->handle, 1);
        if (status != X0X_OK)
            return status;
        s->asked = 1;
    }
    *r = arrived(&s->records, end);
    return *r ? X0X_OK : X0X_E_TIMEOUT;
}

static int32_t receive(struct actor *a, uint64_t end, x0x_record **r)
{
    if (a->directs.first == NULL && !a->inbox_asked) {
        int32_t status = x0x_credit_add(a->inbox, 1);
        if (status != X0X_OK)
            return status;
        a->inbox_asked = 1;
    }
    *r = arrived(&a->directs, end);
    return *r ? X0X_OK : X0X_E_TIMEOUT;
}

static void message_fields(struct result *r, const x0x_record *m)
{
    x0x_reader meta = x0x_reader_init(x0x_record_meta(m), m->meta_len);
    size_t n;
    x0x_read_array(&meta);
    if (m->kind == X0X_R_LAGGED) {
        add_uint(r, "lagged", x0x_read_uint(&meta));
        return;
    }
    add_bytes(r, "payload", x0x_record_payload(m), m->payload_len);
    add_id(r, "sender", x0x_read_bin(&meta, &n));
    add_uint(r, "sequence", m->seq);
    if (m->kind == X0X_R_DIRECT) {
        add_id(r, "machine_id", x0x_read_bin(&meta, &n));
        const char *d = decisions[x0x_read_uint(&meta) % 5];
        add_text(r, "trust_decision", d, strlen(d));
        return;
    }
    (void)x0x_read_uint(&meta); /* epoch */
    const char *level = levels[x0x_read_uint(&meta) % 4];
    add_text(r, "trust_level", level, strlen(level));
    const char *topic = x0x_read_str(&meta, &n);
    add_text(r, "topic", topic, n);
}

static int32_t many(struct actor *a, struct sub *s, const struct json *args, uint64_t end)
{
    int count = (int)json_num(args, "count", 0), first = (int)json_num(args, "first", 0);
    for (int i = first; i < first + count; i++) {
        x0x_record *r;
        int32_t status = s ? next(s, end, &r) : receive(a, end, &r);
        if (status != X0X_OK)
            return status;
        struct bytes want = numbered(payload(json_get(args, "payload")), i);
        if (r->kind == X0X_R_LAGGED || r->payload_len != want.len || memcmp(x0x_record_payload(r), want.p, want.len) != 0)
            return set_fault("message %d is %.*s", i, (int)r->payload_len, (const char *)x0x_record_payload(r));
        free(r);
        free(want.p);
    }
    return X0X_OK;
}

static int32_t peers(const struct actor *a, uint64_t *n)
{
    int32_t s;
    x0x_reader m = call_now(a->handle, X0X_M_PEERS, NULL, &s);
    *n = s == X0X_OK ? x0x_read_array(&m) : 0;
    return s;
}

static int32_t event(struct actor *a, const char *name, struct result *r, uint64_t end)
{
    static const struct {
        const char *name;
        int kind;
    } kinds[] = {{"connected", X0X_R_CONNECTED}, {"disconnected", X0X_R_DISCONNECTED}, {"peer_joined", X0X_R_PEER_JOINED},
                 {"message", X0X_R_EVENT_MESSAGE}, {"error", X0X_R_ERROR}, {"session_reset", X0X_R_SESSION_RESET}};
    for (;;) {
        x0x_record *e = arrived(&a->events, end);
        size_t n;
        if (e == NULL)
            return X0X_E_TIMEOUT;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            if (kinds[i].kind != e->kind || strcmp(kinds[i].name, name) != 0)
                continue;
            x0x_reader m = x0x_reader_init(x0x_record_meta(e), e->meta_len);
            x0x_read_array(&m);
            if (e->kind == X0X_R_ERROR) {
                x0x_read_skip(&m);
                x0x_read_skip(&m);
            }
            add_id(r, "agent", x0x_peek(&m) == 0xc0 ? NULL : x0x_read_bin(&m, &n));
            if (e->kind == X0X_R_EVENT_MESSAGE) {
                x0x_read_skip(&m);
                x0x_read_skip(&m);
                const char *topic = x0x_read_str(&m, &n);
                add_text(r, "topic", topic, n);
                add_bytes(r, "payload", x0x_record_payload(e), e->payload_len);
            }
            return X0X_OK;
        }
        free(e);
    }
}

static int32_t subscribe(struct actor *a, const struct json *args)
{
    const char *policy = json_str(args, "policy"), *as = json_str(args, "as");
    struct bytes topic = payload(json_get(args, "topic"));
    x0x_sub_options o = {.size = sizeof o, .credit = X0X_CREDIT_NONE, .max_messages = (uint32_t)json_num(args, "max_messages", 0),
                         .flags = json_num(args, "replay", 1) != 0 ? 0 : X0X_SUB_NO_REPLAY,
                         .policy = policy && strcmp(policy, "drop_newest") == 0 ? X0X_DROP_NEWEST : X0X_DROP_OLDEST};
    CHECK(a->nsubs < MAX_SUBS);
    struct sub *s = &a->subs[a->nsubs];
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", as ? as : "");
    int32_t status = x0x_subscribe(a->handle, (char *)topic.p, topic.len, &o, &s->handle, NULL);
    if (status == X0X_OK)
        a->nsubs++;
    return status;
}

static int32_t do_call(const struct json *step, struct result *r, uint64_t end)
{
    const char *name = json_str(step, "call"), *who = json_str(step, "actor");
    const struct json *args = json_get(step, "args");
    unsigned char buf[4096];
    uint8_t id[X0X_ID_SIZE];
    x0x_writer w = x0x_writer_init(buf, sizeof buf);
    x0x_reader m;
    x0x_record *rec;
    int32_t s;
    size_t n;
#define IS(text) (strcmp(name, text) == 0)
    if (IS("open"))
        return open_agent(json_get(agents, who));
    struct actor *a = find(who, strlen(who));
    if (a == NULL)
        return set_fault("%s is not open", who);
    if (IS("join"))
        return call(a, X0X_M_JOIN, NULL, end, &m);
    if (IS("leave"))
        return call(a, X0X_M_LEAVE, NULL, end, &m);
    if (IS("close")) {
        a->closed = 1;
        return x0x_close_wait(a->handle, STEP_MS);
    }
    if (IS("identity")) {
        m = call_now(a->handle, X0X_M_IDENTITY, NULL, &s);
        if (s == X0X_OK) {
            x0x_read_array(&m);
            add_id(r, "agent_id", x0x_read_bin(&m, &n));
            add_id(r, "machine_id", x0x_read_bin(&m, &n));
        }
        return s;
    }
    if (IS("is_connected")) {
        m = call_now(a->handle, X0X_M_IS_CONNECTED, NULL, &s);
        x0x_read_array(&m);
        add_bool(r, "connected", x0x_read_bool(&m));
        return s;
    }
    if (IS("publish") || IS("send"))
        return series(a, args, IS("send"), r, end);
    if (IS("subscribe"))
        return subscribe(a, args);
    if (IS("unsubscribe") || IS("next") || IS("next_many") || IS("no_message") || IS("subscription_info")) {
        struct sub *sub = find_sub(a, args);
        if (sub == NULL)
            return set_fault("no such subscription");
        if (IS("unsubscribe"))
            return x0x_handle_close(sub->handle);
        if (IS("next_many"))
            return many(a, sub, args, end);
        if (IS("no_message")) {
            s = next(sub, now_ms() + (uint64_t)json_num(args, "for_ms", 0), &rec);
            return s == X0X_E_TIMEOUT ? X0X_OK : s == X0X_OK ? set_fault("a message came") : s;
        }
        if (IS("next")) {
            if ((s = next(sub, end, &rec)) == X0X_OK)
                message_fields(r, rec);
            return s;
        }
        m = call_now(sub->handle, X0X_M_SUBSCRIPTION_INFO, NULL, &s);
        x0x_read_array(&m);
        const char *topic = x0x_read_str(&m, &n);
        add_text(r, "topic", topic, n);
        add_uint(r, "pending", x0x_read_uint(&m));
        add_uint(r, "dropped", x0x_read_uint(&m));
        return s;
    }
    if (IS("recv")) {
        if ((s = receive(a, end, &rec)) == X0X_OK)
            message_fields(r, rec);
        return s;
    }
    if (IS("recv_many"))
        return many(a, NULL, args, end);
    if (IS("no_direct")) {
        s = receive(a, now_ms() + (uint64_t)json_num(args, "for_ms", 0), &rec);
        return s == X0X_E_TIMEOUT ? X0X_OK : s == X0X_OK ? set_fault("a message came") : s;
    }
    if (IS("inbox_info")) {
        m = call_now(a->inbox, X0X_M_INBOX_INFO, NULL, &s);
        x0x_read_array(&m);
        add_uint(r, "pending", x0x_read_uint(&m));
        return s;
    }
    if (IS("peers")) {
        uint64_t count;
        s = peers(a, &count);
        add_uint(r, "count", count);
        return s;
    }
    if (IS("wait_peers")) {
        for (uint64_t count = 0, want = (uint64_t)json_num(args, "count", 1);;) {
            if ((s = peers(a, &count)) != X0X_OK || count >= want)
                return s;
            if (now_ms() >= end)
                return X0X_E_TIMEOUT;
            pump(now_ms() + 20);
        }
    }
    if (IS("event"))
        return event(a, json_str(args, "name"), r, end);
    if (IS("set_events")) {
        x0x_write_array(&w, 1);
        x0x_write_uint(&w, (uint64_t)json_num(args, "mask", 0));
        (void)call_now(a->handle, X0X_M_SET_EVENTS, &w, &s);
        return s;
    }
    if (IS("contacts")) {
        m = call_now(a->handle, X0X_M_CONTACTS, NULL, &s);
        add_uint(r, "count", x0x_read_array(&m));
        return s;
    }
    if (IS("stats")) {
        const char *want = json_str(args, "name");
        m = call_now(a->handle, X0X_M_STATS, NULL, &s);
        for (uint32_t i = x0x_read_map(&m); i > 0 && want; i--) {
            const char *key = x0x_read_str(&m, &n);
            uint64_t v = x0x_read_uint(&m);
            if (n == strlen(want) && memcmp(key, want, n) == 0)
                add_uint(r, "value", v);
        }
        return s;
    }
    if (IS("connect_address") || IS("add_peer")) {
        const char *of = json_str(args, "of"), *address = json_str(args, "address");
        struct actor *b = of ? find(of, strlen(of)) : NULL;
        char text[16][80];
        uint32_t count = 1;
        if (b != NULL) {
            m = call_now(b->handle, X0X_M_LOCAL_ADDRESSES, NULL, &s);
            count = x0x_read_array(&m);
            CHECK(count > 0 && count <= 16);
            for (uint32_t i = 0; i < count; i++) {
                const char *p = x0x_read_str(&m, &n);
                snprintf(text[i], sizeof text[i], "%.*s", (int)n, p);
            }
        } else {
            snprintf(text[0], sizeof text[0], "%s", address ? address : "");
        }
        if (IS("add_peer")) {
            if (b == NULL)
                return set_fault("add_peer of nobody");
            x0x_write_array(&w, 3);
            x0x_write_bin(&w, b->machine_id, X0X_ID_SIZE);
            x0x_write_array(&w, count);
            for (uint32_t i = 0; i < count; i++)
                x0x_write_str(&w, text[i], strlen(text[i]));
            x0x_write_bin(&w, b->agent_id, X0X_ID_SIZE);
            (void)call_now(a->handle, X0X_M_ADD_PEER, &w, &s);
            return s;
        }
        x0x_write_array(&w, 1);
        x0x_write_str(&w, text[0], strlen(text[0]));
        if ((s = call(a, X0X_M_CONNECT_ADDRESS, &w, end, &m)) == X0X_OK) {
            x0x_read_array(&m);
            add_id(r, "agent_id", x0x_read_bin(&m, &n));
        }
        return s;
    }

    /* The rest is about one agent or machine. */
    if (!resolve_id(json_get(args, IS("connect_machine") ? "machine" : "agent"), id))
        return set_fault("no such id, or no such call as %s", name);
    x0x_write_array(&w, IS("set_trust") ? 2 : 1);
    x0x_write_bin(&w, id, sizeof id);
    if (IS("connect_agent") || IS("connect_machine")) {
        if ((s = call(a, IS("connect_agent") ? X0X_M_CONNECT_AGENT : X0X_M_CONNECT_MACHINE, &w, end, &m)) == X0X_OK) {
            x0x_read_array(&m);
            const char *text = outcomes[x0x_read_uint(&m) % 5];
            add_text(r, "outcome", text, strlen(text));
        }
        return s;
    }
    if (IS("is_agent_connected")) {
        m = call_now(a->handle, X0X_M_IS_AGENT_CONNECTED, &w, &s);
        x0x_read_array(&m);
        add_bool(r, "connected", x0x_read_bool(&m));
        return s;
    }
    if (IS("set_trust")) {
        const char *level = json_str(args, "level");
        for (uint32_t l = 0; level && l < 4; l++)
            if (strcmp(levels[l], level) == 0)
                x0x_write_uint(&w, l);
        (void)call_now(a->handle, X0X_M_SET_TRUST, &w, &s);
        return s;
    }
    if (IS("trust")) {
        m = call_now(a->handle, X0X_M_TRUST, &w, &s);
        x0x_read_array(&m);
        const char *level = levels[x0x_read_uint(&m) % 4];
        add_text(r, "level", level, strlen(level));
        return s;
    }
    if (IS("remove_contact")) {
        m = call_now(a->handle, X0X_M_REMOVE_CONTACT, &w, &s);
        x0x_read_array(&m);
        add_bool(r, "existed", x0x_read_bool(&m));
        return s;
    }
    return set_fault("no such call as %s", name);
}

/* ------------------------------------------------------------------ scenarios */

/* "timeout" of X0X_E_TIMEOUT. */
static const char *kind_name(int32_t status)
{
    static char text[64];
    const char *symbol = x0x_status_name(status) + strlen("X0X_E_");
    size_t i = 0;
    for (; symbol[i] && i < sizeof text - 1; i++)
        text[i] = (char)(symbol[i] >= 'A' && symbol[i] <= 'Z' ? symbol[i] + 32 : symbol[i]);
    text[i] = 0;
    return text;
}

static int run_step(const struct json *step)
{
    struct result r = {.n = 0};
    const char *error = json_str(step, "error"), *save = json_str(step, "save");
    fault[0] = 0;
    int32_t status = do_call(step, &r, now_ms() + (uint64_t)json_num(step, "timeout_ms", STEP_MS));
    if (fault[0])
        return 0;
    if (error != NULL) {
        if (status == X0X_OK || strcmp(kind_name(status), error) != 0)
            set_fault("it gave %s, want %s", x0x_status_name(status), error);
        return !fault[0];
    }
    if (status != X0X_OK) {
        set_fault("it failed with %s", x0x_status_name(status));
        return 0;
    }
    if (save != NULL) {
        CHECK(nsaved < 8);
        saved[nsaved] = r;
        snprintf(saved[nsaved++].name, sizeof saved[0].name, "%s", save);
    }
    compare(json_get(step, "expect"), &r);
    return !fault[0];
}

static int run_scenario(const struct json *sc, const char *tmp, int number)
{
    int passed = 1, index = 0;
    snprintf(network, sizeof network, "c-%d-%d", (int)getpid(), number);
    snprintf(runtime, sizeof runtime, "%s/r%d", tmp, number);
    snprintf(home, sizeof home, "%s/h%d", tmp, number);
    CHECK(mkdir(runtime, 0700) == 0 && mkdir(home, 0700) == 0);
    memset(actors, 0, sizeof actors);
    memset(&completions, 0, sizeof completions);
    nactors = nsaved = 0;
    queue = new_queue();
    agents = json_get(sc, "agents");
    for (const struct json *spec = agents->first; spec && passed; spec = spec->next)
        if (json_num(spec, "open", 1) != 0) {
            int32_t s = open_agent(spec);
            if (s != X0X_OK) {
                fprintf(stderr, "scenario %s: opening %s: %s\n", json_str(sc, "name"), spec->key, x0x_status_name(s));
                passed = 0;
            }
        }
    for (const struct json *step = json_get(sc, "steps")->first; step && passed; step = step->next) {
        index++;
        passed = run_step(step);
        if (!passed)
            fprintf(stderr, "scenario %s: step %d, %s.%s: %s\n", json_str(sc, "name"), index, json_str(step, "actor"), json_str(step, "call"), fault);
    }
    for (int i = 0; i < nactors; i++) {
        int32_t s = actors[i].closed ? X0X_OK : x0x_close_wait(actors[i].handle, STEP_MS);
        if (s != X0X_OK) {
            fprintf(stderr, "scenario %s: closing %s: %s\n", json_str(sc, "name"), actors[i].name, x0x_status_name(s));
            passed = 0;
        }
    }
    OK(x0x_handle_close(queue));
    if (x0x_live_handles(X0X_KIND_ANY) != 0) {
        fprintf(stderr, "scenario %s: handles are left\n", json_str(sc, "name"));
        passed = 0;
    }
    if (passed)
        printf("scenario %s ok\n", json_str(sc, "name"));
    fflush(stdout);
    return passed;
}

int main(int argc, char **argv)
{
    struct json root;
    int passed = 0, failed = 0, skipped = 0, number = 0;
    CHECK(argc >= 3);
    FILE *f = fopen(argv[1], "r");
    CHECK(f != NULL && fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    CHECK(size > 0 && fseek(f, 0, SEEK_SET) == 0);
    char *text = malloc((size_t)size + 1);
    CHECK(fread(text, 1, (size_t)size, f) == (size_t)size);
    text[size] = 0;
    fclose(f);
    CHECK(*json_space(json_value(text, &root)) == 0);
    for (const struct json *sc = json_get(&root, "scenarios")->first; sc; sc = sc->next) {
        if (argc > 3 && strstr(json_str(sc, "name"), argv[3]) == NULL)
            skipped++;
        else if (run_scenario(sc, argv[2], number++))
            passed++;
        else
            failed++;
    }
    printf("%d scenarios passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 || passed == 0 || (skipped > 0 && argc < 4);
}
