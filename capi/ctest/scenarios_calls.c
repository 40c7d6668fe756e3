/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "scenarios.h"

static const char *const outcome_names[] = {"Direct", "Coordinated", "AlreadyConnected", "Unreachable", "NotFound"};
static const char *const decision_names[] = {"Unknown", "Accept", "AcceptWithFlag", "RejectBlocked", "RejectMachineMismatch"};
const char *const level_names[4] = {"blocked", "unknown", "known", "trusted"};
static const char *const identity_names[] = {"anonymous", "known", "trusted", "pinned"};
static const char *const visibility_names[] = {"network", "social", "hidden"};
static const char *const source_names[] = {"none", "direct", "foaf"};
static const char *const priority_names[] = {"normal", "high", "low"};
#define PRIORITIES (sizeof priority_names / sizeof *priority_names)

#define NAME_OF(names, i) ((i) < sizeof(names) / sizeof *(names) ? (names)[i] : "(a number of a later library)")

/* ---------------------------------------------------------------- results */

static struct field *add(struct result *out, const char *name, enum field_type type)
{
    struct field *f = &out->fields[out->count++];
    *f = (struct field){.name = name, .type = type};
    return f;
}

static void add_number(struct result *out, const char *name, uint64_t v) { add(out, name, F_NUMBER)->number = v; }
static void add_bool(struct result *out, const char *name, int v) { add(out, name, F_BOOL)->number = (uint64_t)v; }
static void add_word(struct result *out, const char *name, const char *v) { add(out, name, F_WORD)->word = v; }
static void add_bytes(struct result *out, const char *name, const void *p, size_t n) { add(out, name, F_BYTES)->bytes = (struct bytes){p, n}; }

static void read_id(x0x_reader *m, uint8_t id[X0X_ID_SIZE])
{
    size_t n;
    const void *p = x0x_read_bin(m, &n);
    if (p == NULL || n != X0X_ID_SIZE) {
        m->failed = 1;
        return;
    }
    memcpy(id, p, n);
}

static void add_id(struct result *out, const char *name, x0x_reader *m) { read_id(m, add(out, name, F_ID)->id); }

static const char *read_text(struct run *r, x0x_reader *m)
{
    size_t n;
    const char *p = x0x_read_str(m, &n);
    char *s = keep(r, n + 1);
    if (n > 0)
        memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

static int32_t complete(struct run *r, x0x_reader *m) /* reads all of what is there, and nothing else */
{
    if (m->failed)
        fail(r, "a result of other types than x0x.h says");
    return X0X_OK;
}

/* ---------------------------------------------------------------- agents */

const char spec_names[] = " open network name home_dir identity_dir bind bootstrap machine_key_path agent_key_path machine_key agent_key user_key_path user_key contacts_path"
                          " dial_timeout_ms send_timeout_ms peer_timeout_ms session_ttl_ms close_grace_ms accept_from inbox_messages"
                          " inbox_bytes max_operations max_peers active_peers passive_peers max_peers_per_address"
                          " visibility presence_interval_ms presence_timeout_ms no_local_discovery no_relay ";

/* A word that is no visibility becomes a number that is none: the library has to refuse it. */
static uint32_t visibility_of(struct run *r, const json *s)
{
    const char *name = value_text(r, json_get(s, "visibility"));
    uint32_t v = 0;
    while (name != NULL && v < sizeof visibility_names / sizeof *visibility_names && strcmp(name, visibility_names[v]) != 0)
        v++;
    return v;
}

int32_t open_actor(struct run *r, struct actor *a)
{
    const json *s = a->spec, *network = json_get(s, "network");
    char id[96];
    struct bytes machine_key = value_bytes(r, json_get(s, "machine_key")), agent_key = value_bytes(r, json_get(s, "agent_key")),
                 user_key = value_bytes(r, json_get(s, "user_key"));
    snprintf(id, sizeof id, "%s%s%s", r->network, network ? "-" : "", network ? value_text(r, network) : "");
    x0x_options o = {
        .size = sizeof o,
        .flags = (get_bool(r, s, "no_local_discovery", 0) ? X0X_OPEN_NO_LOCAL_DISCOVERY : 0) | (get_bool(r, s, "no_relay", 0) ? X0X_OPEN_NO_RELAY : 0),
        .network_id = id,
        .runtime_dir = r->runtime,
        .name = value_text(r, json_get(s, "name")),
        .home_dir = value_text(r, json_get(s, "home_dir")),
        .identity_dir = value_text(r, json_get(s, "identity_dir")),
        .bind = value_text(r, json_get(s, "bind")),
        .bootstrap = value_text(r, json_get(s, "bootstrap")),
        .machine_key_path = value_text(r, json_get(s, "machine_key_path")),
        .agent_key_path = value_text(r, json_get(s, "agent_key_path")),
        .machine_key = machine_key.p,
        .machine_key_len = machine_key.n,
        .agent_key = agent_key.p,
        .agent_key_len = agent_key.n,
        .user_key_path = value_text(r, json_get(s, "user_key_path")),
        .user_key = user_key.p,
        .user_key_len = user_key.n,
        .contacts_path = value_text(r, json_get(s, "contacts_path")),
        .dial_timeout_ms = (uint32_t)get_number(r, s, "dial_timeout_ms", 0),
        .send_timeout_ms = (uint32_t)get_number(r, s, "send_timeout_ms", 0),
        .peer_timeout_ms = (uint32_t)get_number(r, s, "peer_timeout_ms", 0),
        .session_ttl_ms = (uint32_t)get_number(r, s, "session_ttl_ms", 0),
        .close_grace_ms = (uint32_t)get_number(r, s, "close_grace_ms", 0),
        .accept_from = json_get(s, "accept_from") ? (uint32_t)level_of(r, json_get(s, "accept_from")) : 0,
        .inbox_messages = (uint32_t)get_number(r, s, "inbox_messages", 0),
        .inbox_bytes = get_number(r, s, "inbox_bytes", 0),
        .max_operations = (uint32_t)get_number(r, s, "max_operations", 0),
        .max_peers = (uint32_t)get_number(r, s, "max_peers", 0),
        .active_peers = (uint32_t)get_number(r, s, "active_peers", 0),
        .passive_peers = (uint32_t)get_number(r, s, "passive_peers", 0),
        .max_peers_per_address = (int32_t)get_signed(r, s, "max_peers_per_address", 0),
        .visibility = visibility_of(r, s),
        .presence_interval_ms = (uint32_t)get_number(r, s, "presence_interval_ms", 0),
        .presence_timeout_ms = (uint32_t)get_number(r, s, "presence_timeout_ms", 0),
    };
    uint64_t handle;
    if (a->open)
        fail(r, "agent %s is open", a->name);
    int32_t status = x0x_open(&o, r->queue, &handle, &r->err);
    if (status != X0X_OK)
        return status;
    a->open = 1;
    a->agent.handle = handle;
    if ((status = x0x_agent_id(handle, a->agent_id)) != X0X_OK || (status = x0x_machine_id(handle, a->machine_id)) != X0X_OK)
        fail(r, "the ids of a new agent: %s", x0x_status_name(status));
    return X0X_OK;
}

const char *first_address(struct run *r, struct actor *a)
{
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, X0X_M_LOCAL_ADDRESSES, NULL, &m);
    if (s != X0X_OK || x0x_read_array(&m) == 0)
        fail(r, "agent %s has no local address (%s)", a->name, x0x_status_name(s));
    return read_text(r, &m);
}

/* Runs an asynchronous method to its end. */
static int32_t call(struct run *r, struct actor *a, uint32_t method, const x0x_writer *args, x0x_reader *m)
{
    uint64_t op;
    begin_ops(r, 1);
    r->ops[0].accepted = 1;
    int32_t s = x0x_call(a->agent.handle, method, args->buf, args->len, r->first_token, r->first_token & 1 ? &op : NULL, &r->err);
    r->ops[0].accepted = s == X0X_OK;
    return s == X0X_OK ? end_ops(r, m) : s;
}

struct args {
    unsigned char buf[512];
    x0x_writer w;
};

static x0x_writer *arguments(struct args *x, uint32_t n)
{
    x->w = x0x_writer_init(x->buf, sizeof x->buf);
    x0x_write_array(&x->w, n);
    return &x->w;
}

static int32_t with_timeout(struct run *r, struct actor *a, uint32_t method)
{
    struct args x;
    x0x_write_uint(arguments(&x, 1), time_left(r));
    return call(r, a, method, &x.w, NULL);
}

static int32_t c_join(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x, (void)out;
    return with_timeout(r, a, X0X_M_JOIN);
}

static int32_t c_leave(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x, (void)out;
    return with_timeout(r, a, X0X_M_LEAVE);
}

static int32_t c_close(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x, (void)out;
    int32_t s = x0x_close_wait(a->agent.handle, time_left(r));
    a->closed |= s == X0X_OK;
    return s;
}

static int32_t c_identity(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, X0X_M_IDENTITY, NULL, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_id(out, "agent_id", &m);
    add_id(out, "machine_id", &m);
    return complete(r, &m);
}

/* An immediate method about an agent or about none, with one bool as its result. */
static int32_t ask_bool(struct run *r, struct actor *a, uint32_t method, const json *about, struct result *out, const char *field)
{
    x0x_reader m;
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    if (about != NULL) {
        value_id(r, about, id);
        x0x_write_bin(arguments(&args, 1), id, sizeof id);
    }
    int32_t s = ask(r, a->agent.handle, method, about ? &args.w : NULL, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_bool(out, field, x0x_read_bool(&m));
    return complete(r, &m);
}

static int32_t c_is_connected(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return ask_bool(r, a, X0X_M_IS_CONNECTED, NULL, out, "connected");
}

static int32_t c_is_agent_connected(struct run *r, struct actor *a, const json *x, struct result *out)
{
    return ask_bool(r, a, X0X_M_IS_AGENT_CONNECTED, json_get(x, "agent"), out, "connected");
}

static int32_t c_remove_contact(struct run *r, struct actor *a, const json *x, struct result *out)
{
    return ask_bool(r, a, X0X_M_REMOVE_CONTACT, json_get(x, "agent"), out, "existed");
}

static int32_t connect_to(struct run *r, struct actor *a, uint32_t method, const json *whom, struct result *out)
{
    x0x_reader m;
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    value_id(r, whom, id);
    x0x_write_bin(arguments(&args, 2), id, sizeof id);
    x0x_write_uint(&args.w, time_left(r));
    int32_t s = call(r, a, method, &args.w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    uint64_t outcome = x0x_read_uint(&m);
    add_word(out, "outcome", NAME_OF(outcome_names, outcome));
    return complete(r, &m);
}

static int32_t c_connect_agent(struct run *r, struct actor *a, const json *x, struct result *out)
{
    return connect_to(r, a, X0X_M_CONNECT_AGENT, json_get(x, "agent"), out);
}

static int32_t c_connect_machine(struct run *r, struct actor *a, const json *x, struct result *out)
{
    return connect_to(r, a, X0X_M_CONNECT_MACHINE, json_get(x, "machine"), out);
}

static struct actor *other(struct run *r, const json *x)
{
    const char *name = value_text(r, json_get(x, "of"));
    return name != NULL ? actor_by_name(r, name) : NULL;
}

static int32_t c_connect_address(struct run *r, struct actor *a, const json *x, struct result *out)
{
    x0x_reader m;
    struct args args;
    struct actor *b = other(r, x);
    const char *address = b != NULL ? first_address(r, b) : value_text(r, json_get(x, "address"));
    if (address == NULL)
        fail(r, "no address");
    x0x_write_str(arguments(&args, 2), address, strlen(address));
    x0x_write_uint(&args.w, time_left(r));
    int32_t s = call(r, a, X0X_M_CONNECT_ADDRESS, &args.w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_id(out, "agent_id", &m);
    return complete(r, &m);
}

static int32_t c_add_peer(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    struct actor *b = other(r, x);
    if (b == NULL)
        fail(r, "no peer");
    const char *address = first_address(r, b);
    x0x_write_bin(arguments(&args, 3), b->machine_id, X0X_ID_SIZE);
    x0x_write_array(&args.w, 1);
    x0x_write_str(&args.w, address, strlen(address));
    x0x_write_bin(&args.w, b->agent_id, X0X_ID_SIZE);
    return ask(r, a->agent.handle, X0X_M_ADD_PEER, &args.w, NULL);
}

/* An immediate method with a list as its result: how long it is. */
static int32_t ask_count(struct run *r, struct actor *a, uint32_t method, uint64_t *count)
{
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, method, NULL, &m);
    if (s != X0X_OK)
        return s;
    *count = x0x_read_array(&m);
    for (uint64_t i = 0; i < *count; i++)
        x0x_read_skip(&m);
    if (!x0x_reader_done(&m))
        fail(r, "a damaged list");
    return X0X_OK;
}

/* A call whose result is how many there are. */
static int32_t tell_count(struct run *r, struct actor *a, uint32_t method, struct result *out)
{
    uint64_t n = 0;
    int32_t s = ask_count(r, a, method, &n);
    add_number(out, "count", n);
    return s;
}

static int32_t c_peers(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return tell_count(r, a, X0X_M_PEERS, out);
}

static int32_t c_contacts(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return tell_count(r, a, X0X_M_CONTACTS, out);
}

static int32_t c_wait_peers(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint64_t n = 0, want = get_number(r, x, "count", 0);
    for (;;) {
        int32_t s = ask_count(r, a, X0X_M_PEERS, &n);
        if (s != X0X_OK)
            return s;
        if (n >= want)
            break;
        if (time_left(r) == 0)
            return X0X_E_TIMEOUT;
        pump(r, 50); /* an event says when to look again; some peers are seen later than theirs */
    }
    add_number(out, "count", n);
    return X0X_OK;
}

/* ---------------------------------------------------------------- messages */

/* How many messages a step is about; 0 stands for one without a number. */
static uint64_t message_count(struct run *r, const json *x)
{
    uint64_t n = get_number(r, x, "count", 0);
    if (n > 100000)
        fail(r, "%llu messages are too many", (unsigned long long)n);
    return n;
}

static struct bytes message(struct run *r, const json *x, uint64_t count, uint64_t i)
{
    const json *p = json_get(x, "payload");
    return count == 0 ? value_bytes(r, p) : value_numbered(r, p, get_number(r, x, "first", 0) + i);
}

/* Starts all messages of a step, one after the other without waiting, and waits for all. `to`
 * NULL publishes. */
static int32_t start_all(struct run *r, struct actor *a, const json *x, const uint8_t *to, x0x_reader *m)
{
    struct bytes topic = value_bytes(r, json_get(x, "topic"));
    uint64_t count = message_count(r, x), n = count ? count : 1, op;
    uint32_t timeout = get_bool(r, x, "wait", 1) ? (uint32_t)get_number(r, x, "timeout_ms", 0) : X0X_NO_WAIT;
    uint32_t flags = (get_bool(r, x, "unordered", 0) ? X0X_SEND_UNORDERED : 0) |
                     (get_bool(r, x, "fail_on_disconnect", 0) ? X0X_SEND_FAIL_ON_DISCONNECT : 0);
    int32_t refused = X0X_OK;
    begin_ops(r, n);
    for (uint64_t i = 0; i < n && refused == X0X_OK; i++) {
        struct bytes p = message(r, x, count, i);
        uint64_t token = r->first_token + i, *op_out = token & 1 ? &op : NULL;
        refused = to ? x0x_send(a->agent.handle, to, p.p, p.n, flags, timeout, token, op_out, &r->err)
                     : x0x_publish(a->agent.handle, topic.p, topic.n, p.p, p.n, timeout, token, op_out, &r->err);
        r->ops[i].accepted = refused == X0X_OK;
    }
    x0x_err err = r->err;
    int32_t s = end_ops(r, m);
    if (refused != X0X_OK) {
        r->err = err;
        return refused;
    }
    return s;
}

static int32_t c_publish(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return start_all(r, a, x, NULL, NULL);
}

static int32_t c_send(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint8_t to[X0X_ID_SIZE];
    x0x_reader m;
    value_id(r, json_get(x, "to"), to);
    int32_t s = start_all(r, a, x, to, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_word(out, "path", read_text(r, &m));
    return complete(r, &m);
}

static struct sub *sub_of(struct run *r, struct actor *a, const json *x, const char *key)
{
    const char *name = value_text(r, json_get(x, key));
    for (int i = a->sub_count - 1; i >= 0; i--) /* the newest of a name */
        if (name != NULL && strcmp(a->subs[i].name, name) == 0)
            return &a->subs[i];
    fail(r, "no subscription %s", name ? name : "without a name");
}

static int32_t c_subscribe(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct bytes topic = value_bytes(r, json_get(x, "topic"));
    const char *policy = value_text(r, json_get(x, "policy"));
    int paused = get_bool(r, x, "paused", 0);
    x0x_sub_options o = {
        .size = sizeof o,
        .flags = get_bool(r, x, "replay", 1) ? 0 : X0X_SUB_NO_REPLAY,
        .max_messages = (uint32_t)get_number(r, x, "max_messages", 0),
        .policy = policy != NULL && strcmp(policy, "drop_newest") == 0 ? X0X_DROP_NEWEST : X0X_DROP_OLDEST,
        .credit = paused ? X0X_CREDIT_NONE : X0X_CREDIT_UNLIMITED,
    };
    if (policy != NULL && strcmp(policy, "drop_newest") != 0 && strcmp(policy, "drop_oldest") != 0)
        fail(r, "no policy %s", policy);
    if (a->sub_count == MOST_SUBS)
        fail(r, "too many subscriptions");
    struct sub s = {.name = value_text(r, json_get(x, "as")), .box.pulls = paused};
    if (s.name == NULL)
        fail(r, "a subscription without a name");
    int32_t status = x0x_subscribe(a->agent.handle, topic.p, topic.n, &o, &s.box.handle, &r->err);
    if (status == X0X_OK)
        a->subs[a->sub_count++] = s;
    return status;
}

static int32_t c_unsubscribe(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return x0x_handle_close(sub_of(r, a, x, "sub")->box.handle);
}

/* What a reader gets when there is no record. */
static int32_t ended(const struct box *b) { return b->closed ? X0X_E_CLOSED : X0X_E_TIMEOUT; }

static int32_t c_next(struct run *r, struct actor *a, const json *x, struct result *out)
{
    struct box *b = &sub_of(r, a, x, "sub")->box;
    const x0x_record *rec = box_next(r, b, time_left(r));
    if (rec == NULL)
        return ended(b);
    x0x_reader m = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
    x0x_read_array(&m);
    if (rec->kind == X0X_R_LAGGED) {
        uint64_t count = x0x_read_uint(&m), first = x0x_read_uint(&m), last = x0x_read_uint(&m);
        if (last < first)
            fail(r, "a gap from %llu to %llu", (unsigned long long)first, (unsigned long long)last);
        add_number(out, "lagged", count);
        return complete(r, &m);
    }
    add_id(out, "sender", &m);
    x0x_read_uint(&m); /* epoch */
    uint64_t level = x0x_read_uint(&m);
    add_word(out, "trust_level", NAME_OF(level_names, level));
    add_word(out, "topic", read_text(r, &m));
    add_bytes(out, "payload", x0x_record_payload(rec), rec->payload_len);
    add_number(out, "sequence", rec->seq);
    return complete(r, &m);
}

/* A numbered series, complete and in order. */
static int32_t series(struct run *r, struct box *b, const json *x, uint16_t kind)
{
    uint64_t n = message_count(r, x);
    for (uint64_t i = 0; i < n; i++) {
        const x0x_record *rec = box_next(r, b, time_left(r));
        struct bytes want = message(r, x, n, i);
        if (rec == NULL)
            return ended(b);
        if (rec->kind != kind)
            fail(r, "message %llu is a record of kind %d", (unsigned long long)i, rec->kind);
        if (rec->payload_len != want.n || memcmp(x0x_record_payload(rec), want.p, want.n) != 0)
            fail(r, "message %llu is \"%.*s\", want \"%.*s\"", (unsigned long long)i, (int)(rec->payload_len < 40 ? rec->payload_len : 40),
                 (const char *)x0x_record_payload(rec), (int)(want.n < 40 ? want.n : 40), (const char *)want.p);
    }
    return X0X_OK;
}

static int32_t c_next_many(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return series(r, &sub_of(r, a, x, "sub")->box, x, X0X_R_MESSAGE);
}

/* Succeeds when nothing comes in a while. */
static int32_t nothing(struct run *r, struct box *b, const json *x)
{
    const x0x_record *rec = box_next(r, b, (uint32_t)get_number(r, x, "for_ms", 0));
    if (rec != NULL)
        fail(r, "a record of kind %d came, want nothing", rec->kind);
    return b->closed ? X0X_E_CLOSED : X0X_OK;
}

static int32_t c_no_message(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return nothing(r, &sub_of(r, a, x, "sub")->box, x);
}

static int32_t c_subscription_info(struct run *r, struct actor *a, const json *x, struct result *out)
{
    x0x_reader m;
    int32_t s = ask(r, sub_of(r, a, x, "sub")->box.handle, X0X_M_SUBSCRIPTION_INFO, NULL, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_word(out, "topic", read_text(r, &m));
    add_number(out, "pending", x0x_read_uint(&m));
    add_number(out, "dropped", x0x_read_uint(&m));
    return complete(r, &m);
}

/* The inbox, opened when it is first needed and without letting a message out. */
static int32_t open_inbox(struct run *r, struct actor *a)
{
    if (a->inbox.handle != 0)
        return X0X_OK;
    a->inbox.pulls = 1;
    return x0x_inbox_open(a->agent.handle, X0X_CREDIT_NONE, &a->inbox.handle, &r->err);
}

static int32_t c_recv(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    int32_t s = open_inbox(r, a);
    if (s != X0X_OK)
        return s;
    const x0x_record *rec = box_next(r, &a->inbox, time_left(r));
    if (rec == NULL)
        return ended(&a->inbox);
    x0x_reader m = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
    x0x_read_array(&m);
    add_id(out, "sender", &m);
    add_id(out, "machine_id", &m);
    uint64_t decision = x0x_read_uint(&m);
    add_word(out, "trust_decision", NAME_OF(decision_names, decision));
    add_bytes(out, "payload", x0x_record_payload(rec), rec->payload_len);
    add_number(out, "sequence", rec->seq);
    return complete(r, &m);
}

static int32_t c_recv_many(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    int32_t s = open_inbox(r, a);
    return s == X0X_OK ? series(r, &a->inbox, x, X0X_R_DIRECT) : s;
}

static int32_t c_no_direct(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    int32_t s = open_inbox(r, a);
    return s == X0X_OK ? nothing(r, &a->inbox, x) : s;
}

static int32_t c_inbox_info(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    x0x_reader m;
    int32_t s = open_inbox(r, a);
    if (s != X0X_OK || (s = ask(r, a->inbox.handle, X0X_M_INBOX_INFO, NULL, &m)) != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_number(out, "pending", x0x_read_uint(&m));
    return complete(r, &m);
}

/* ---------------------------------------------------------------- how topics go */

/* A word that is no priority becomes a number that is none: the library has to refuse it. */
static int32_t c_set_topic_priority(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    unsigned char buf[600];
    struct bytes topic = value_bytes(r, json_get(x, "topic"));
    const char *name = value_text(r, json_get(x, "priority"));
    uint64_t priority = 0;
    while (name != NULL && priority < PRIORITIES && strcmp(name, priority_names[priority]) != 0)
        priority++;
    x0x_writer w = x0x_writer_init(buf, sizeof buf);
    x0x_write_array(&w, 2);
    x0x_write_str(&w, topic.p, topic.n);
    x0x_write_uint(&w, priority);
    return ask(r, a->agent.handle, X0X_M_SET_TOPIC_PRIORITY, &w, NULL);
}

static int32_t c_neighbors(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return tell_count(r, a, X0X_M_NEIGHBORS, out);
}

static int32_t c_known_peers(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return tell_count(r, a, X0X_M_KNOWN_PEERS, out);
}

static int32_t c_wait_neighbor(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint8_t want[X0X_ID_SIZE], id[X0X_ID_SIZE];
    value_id(r, json_get(x, "agent"), want);
    for (;;) {
        x0x_reader m;
        int found = 0;
        int32_t s = ask(r, a->agent.handle, X0X_M_NEIGHBORS, NULL, &m);
        if (s != X0X_OK)
            return s;
        uint32_t n = x0x_read_array(&m);
        for (uint32_t i = 0; i < n && !m.failed; i++) {
            read_id(&m, id);
            found |= memcmp(id, want, sizeof id) == 0;
        }
        if (found) {
            add_number(out, "count", n);
            return complete(r, &m);
        }
        if (time_left(r) == 0)
            return X0X_E_TIMEOUT;
        pump(r, 50);
    }
}

/* Waits for a neighbour behind whom somebody subscribes to the topic. */
static int32_t c_wait_link(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint8_t want[X0X_ID_SIZE], id[X0X_ID_SIZE];
    const char *topic = value_text(r, json_get(x, "topic"));
    value_id(r, json_get(x, "agent"), want);
    for (;;) {
        x0x_reader m;
        int32_t s = ask(r, a->agent.handle, X0X_M_TOPIC_MESH, NULL, &m);
        if (s != X0X_OK)
            return s;
        for (uint32_t topics = x0x_read_array(&m); topics > 0 && !m.failed; topics--) {
            x0x_read_array(&m);
            read_id(&m, id);
            int here = topic != NULL && strcmp(read_text(r, &m), topic) == 0;
            uint64_t priority = x0x_read_uint(&m), subscriptions = x0x_read_uint(&m);
            x0x_read_uint(&m); /* retained */
            x0x_read_uint(&m); /* missing */
            for (uint32_t links = x0x_read_array(&m); links > 0 && !m.failed; links--) {
                x0x_read_array(&m);
                read_id(&m, id);
                int eager = x0x_read_bool(&m), carries = x0x_read_bool(&m), nobody = x0x_read_nil(&m);
                uint64_t distance = nobody ? 0 : x0x_read_uint(&m);
                for (int i = 0; i < 3; i++)
                    x0x_read_uint(&m); /* rtt_us, first, duplicates */
                if (!here || nobody || memcmp(id, want, sizeof id) != 0)
                    continue;
                add_bool(out, "eager", eager);
                add_bool(out, "carries", carries);
                add_number(out, "distance", distance);
                add_word(out, "priority", NAME_OF(priority_names, priority));
                add_number(out, "subscriptions", subscriptions);
            }
        }
        complete(r, &m);
        if (!x0x_reader_done(&m))
            fail(r, "more than a mesh");
        if (out->count > 0)
            return X0X_OK;
        if (time_left(r) == 0)
            return X0X_E_TIMEOUT;
        pump(r, 50);
    }
}

/* ---------------------------------------------------------------- identity */

/* Room for arguments that may be long. */
static x0x_writer long_arguments(struct run *r, uint32_t n)
{
    const size_t cap = 1 << 17;
    x0x_writer w = x0x_writer_init(keep(r, cap), cap);
    x0x_write_array(&w, n);
    return w;
}

/* Keeps a signature or a link under the name that a step gives it. */
static void keep_text(struct run *r, const json *x, const void *p, size_t n)
{
    if (r->text_count == (int)(sizeof r->texts / sizeof *r->texts))
        fail(r, "too many signatures and links");
    char *copy = keep(r, n + 1);
    memcpy(copy, p, n);
    r->texts[r->text_count].name = value_text(r, json_get(x, "as"));
    r->texts[r->text_count++].b = (struct bytes){copy, n};
}

/* What a step has kept under this name, or else the text itself. */
static struct bytes kept_or(struct run *r, const json *v)
{
    struct bytes name = value_bytes(r, v);
    for (int i = 0; i < r->text_count; i++)
        if (r->texts[i].name != NULL && strlen(r->texts[i].name) == name.n && memcmp(r->texts[i].name, name.p, name.n) == 0)
            return r->texts[i].b;
    return name;
}

static void write_text(x0x_writer *w, struct bytes b) { x0x_write_str(w, b.p, b.n); }

static int32_t c_sign(struct run *r, struct actor *a, const json *x, struct result *out)
{
    x0x_reader m;
    size_t n;
    struct bytes payload = value_bytes(r, json_get(x, "payload"));
    x0x_writer w = long_arguments(r, 2);
    write_text(&w, value_bytes(r, json_get(x, "context")));
    x0x_write_bin(&w, payload.p, payload.n);
    int32_t s = ask(r, a->agent.handle, X0X_M_SIGN, &w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    const void *signature = x0x_read_bin(&m, &n);
    complete(r, &m);
    keep_text(r, x, signature, n);
    add_number(out, "size", n);
    return X0X_OK;
}

static int32_t c_verify(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    uint8_t id[X0X_ID_SIZE];
    struct bytes payload = value_bytes(r, json_get(x, "payload")), signature = kept_or(r, json_get(x, "signature"));
    value_id(r, json_get(x, "agent"), id);
    x0x_writer w = long_arguments(r, 4);
    x0x_write_bin(&w, id, sizeof id);
    write_text(&w, value_bytes(r, json_get(x, "context")));
    x0x_write_bin(&w, payload.p, payload.n);
    x0x_write_bin(&w, signature.p, signature.n);
    return ask(r, a->agent.handle, X0X_M_VERIFY, &w, NULL);
}

static int32_t c_identity_words(struct run *r, struct actor *a, const json *x, struct result *out)
{
    x0x_reader m;
    uint8_t id[X0X_ID_SIZE];
    value_id(r, json_get(x, "agent"), id);
    x0x_writer w = long_arguments(r, 1);
    x0x_write_bin(&w, id, sizeof id);
    int32_t s = ask(r, a->agent.handle, X0X_M_IDENTITY_WORDS, &w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_word(out, "words", read_text(r, &m));
    return complete(r, &m);
}

/* A list of one pair of texts. */
static void write_pair(x0x_writer *w, const char *name, const char *value)
{
    x0x_write_array(w, 1);
    x0x_write_array(w, 2);
    x0x_write_str(w, name, strlen(name));
    x0x_write_str(w, value, strlen(value));
}

static int32_t c_card(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    x0x_reader m;
    size_t n;
    x0x_writer w = long_arguments(r, 7);
    write_text(&w, value_bytes(r, json_get(x, "display_name")));
    x0x_write_nil(&w); /* the addresses where it listens */
    write_pair(&w, "g", "i");
    write_pair(&w, "s", "t");
    x0x_write_uint(&w, 0);
    x0x_write_bool(&w, get_bool(r, x, "include_user", 0));
    x0x_write_bool(&w, get_bool(r, x, "human_consent", 0));
    int32_t s = ask(r, a->agent.handle, X0X_M_CARD, &w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    const char *link = x0x_read_str(&m, &n);
    complete(r, &m);
    keep_text(r, x, link, n);
    return X0X_OK;
}

static uint64_t skip_list(x0x_reader *m)
{
    uint64_t n = x0x_read_array(m);
    for (uint64_t i = 0; i < n && !m->failed; i++)
        x0x_read_skip(m);
    return n;
}

static int32_t c_import_card(struct run *r, struct actor *a, const json *x, struct result *out)
{
    x0x_reader m;
    const json *level = json_get(x, "level");
    x0x_writer w = long_arguments(r, level ? 2 : 1);
    write_text(&w, kept_or(r, json_get(x, "link")));
    if (level)
        x0x_write_uint(&w, (uint64_t)level_of(r, level));
    int32_t s = ask(r, a->agent.handle, X0X_M_IMPORT_CARD, &w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    add_id(out, "agent", &m);
    add_bool(out, "added", x0x_read_bool(&m));
    uint64_t now = x0x_read_uint(&m);
    add_word(out, "level", NAME_OF(level_names, now));
    add_word(out, "display_name", read_text(r, &m));
    x0x_read_skip(&m); /* machine_id */
    int nobody = x0x_read_nil(&m);
    if (!nobody)
        x0x_read_skip(&m);
    add_bool(out, "user", !nobody);
    add_number(out, "addresses", skip_list(&m));
    add_number(out, "groups", skip_list(&m));
    add_number(out, "stores", skip_list(&m));
    x0x_read_uint(&m); /* created_s */
    x0x_read_uint(&m); /* expires_s */
    if (!x0x_reader_done(&m))
        fail(r, "more than a card");
    return complete(r, &m);
}

/* Whether there is a certificate, and that it and the identity agree about it. */
static int32_t c_certificate(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    x0x_reader c, i;
    uint8_t id[X0X_ID_SIZE];
    int32_t s = ask(r, a->agent.handle, X0X_M_CERTIFICATE, NULL, &c);
    if (s != X0X_OK || (s = ask(r, a->agent.handle, X0X_M_IDENTITY, NULL, &i)) != X0X_OK)
        return s;
    x0x_read_array(&c);
    x0x_read_array(&i);
    read_id(&i, id);
    read_id(&i, id);
    int exists = !x0x_read_nil(&c);
    if (exists == x0x_read_nil(&i))
        fail(r, "certificate and user id disagree");
    add_bool(out, "exists", exists);
    return X0X_OK;
}

/* ---------------------------------------------------------------- trust, events, counters */
/* ---------------------------------------------------------------- trust */

static int32_t c_set_trust(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    value_id(r, json_get(x, "agent"), id);
    x0x_write_bin(arguments(&args, 2), id, sizeof id);
    x0x_write_uint(&args.w, (uint64_t)level_of(r, json_get(x, "level")));
    return ask(r, a->agent.handle, X0X_M_SET_TRUST, &args.w, NULL);
}

static int32_t c_trust(struct run *r, struct actor *a, const json *x, struct result *out)
{
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    x0x_reader m;
    value_id(r, json_get(x, "agent"), id);
    x0x_write_bin(arguments(&args, 1), id, sizeof id);
    int32_t s = ask(r, a->agent.handle, X0X_M_TRUST, &args.w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    uint64_t level = x0x_read_uint(&m);
    add_word(out, "level", NAME_OF(level_names, level));
    return complete(r, &m);
}

/* The arguments of a call about a contact: its agent id first, `more` after it. */
static x0x_writer *about(struct run *r, struct args *args, const json *x, uint32_t more)
{
    uint8_t id[X0X_ID_SIZE];
    value_id(r, json_get(x, "agent"), id);
    x0x_write_bin(arguments(args, 1 + more), id, sizeof id);
    return &args->w;
}

static void write_machine(struct run *r, x0x_writer *w, const json *x)
{
    uint8_t id[X0X_ID_SIZE];
    value_id(r, json_get(x, "machine"), id);
    x0x_write_bin(w, id, sizeof id);
}

static void write_label(struct run *r, x0x_writer *w, const json *x)
{
    struct bytes label = value_bytes(r, json_get(x, "label"));
    x0x_write_str(w, label.p, label.n);
}

static int32_t c_add_contact(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    int named = json_get(x, "label") != NULL;
    x0x_writer *w = about(r, &args, x, named ? 2 : 1);
    x0x_write_uint(w, (uint64_t)level_of(r, json_get(x, "level")));
    if (named)
        write_label(r, w, x);
    return ask(r, a->agent.handle, X0X_M_ADD_CONTACT, w, NULL);
}

static int32_t c_contact(struct run *r, struct actor *a, const json *x, struct result *out)
{
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, X0X_M_CONTACT, about(r, &args, x, 0), &m);
    if (s != X0X_OK)
        return s;
    int exists = x0x_read_array(&m) == 1;
    add_bool(out, "exists", exists);
    if (exists) {
        uint64_t pinned = 0;
        x0x_read_array(&m);
        read_id(&m, id);
        uint64_t level = x0x_read_uint(&m);
        add_word(out, "level", NAME_OF(level_names, level));
        add_word(out, "label", read_text(r, &m));
        x0x_read_uint(&m); /* added_ms */
        uint64_t type = x0x_read_uint(&m);
        add_word(out, "identity_type", NAME_OF(identity_names, type));
        x0x_read_uint(&m); /* last_seen_ms */
        uint32_t machines = x0x_read_array(&m);
        for (uint32_t i = 0; i < machines && !m.failed; i++) {
            x0x_read_array(&m);
            read_id(&m, id);
            read_text(r, &m); /* label */
            x0x_read_uint(&m); /* first_seen_ms */
            x0x_read_uint(&m); /* last_seen_ms */
            pinned += (uint64_t)x0x_read_bool(&m);
        }
        add_number(out, "machines", machines);
        add_number(out, "pinned", pinned);
    }
    if (!x0x_reader_done(&m))
        fail(r, "more than a contact");
    return complete(r, &m);
}

static int32_t c_set_label(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    x0x_writer *w = about(r, &args, x, 1);
    write_label(r, w, x);
    return ask(r, a->agent.handle, X0X_M_SET_LABEL, w, NULL);
}

/* A word that is no type becomes a number that is none: the library has to refuse it. */
static int32_t c_set_identity_type(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    const char *name = value_text(r, json_get(x, "identity_type"));
    uint64_t type = 0;
    while (name != NULL && type < sizeof identity_names / sizeof *identity_names && strcmp(name, identity_names[type]) != 0)
        type++;
    x0x_writer *w = about(r, &args, x, 1);
    x0x_write_uint(w, type);
    return ask(r, a->agent.handle, X0X_M_SET_IDENTITY_TYPE, w, NULL);
}

static int32_t c_add_machine(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    int named = json_get(x, "label") != NULL;
    x0x_writer *w = about(r, &args, x, named ? 2 : 1);
    write_machine(r, w, x);
    if (named)
        write_label(r, w, x);
    return ask(r, a->agent.handle, X0X_M_ADD_MACHINE, w, NULL);
}

static int32_t on_machine(struct run *r, struct actor *a, uint32_t method, const json *x)
{
    struct args args;
    x0x_writer *w = about(r, &args, x, 1);
    write_machine(r, w, x);
    return ask(r, a->agent.handle, method, w, NULL);
}

static int32_t c_remove_machine(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return on_machine(r, a, X0X_M_REMOVE_MACHINE, x);
}

static int32_t c_pin_machine(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return on_machine(r, a, X0X_M_PIN_MACHINE, x);
}

static int32_t c_unpin_machine(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    return on_machine(r, a, X0X_M_UNPIN_MACHINE, x);
}

static int32_t c_evaluate_trust(struct run *r, struct actor *a, const json *x, struct result *out)
{
    struct args args;
    x0x_reader m;
    int known = json_get(x, "machine") != NULL;
    x0x_writer *w = about(r, &args, x, known ? 1 : 0);
    if (known)
        write_machine(r, w, x);
    int32_t s = ask(r, a->agent.handle, X0X_M_EVALUATE_TRUST, w, &m);
    if (s != X0X_OK)
        return s;
    x0x_read_array(&m);
    uint64_t decision = x0x_read_uint(&m);
    add_word(out, "decision", NAME_OF(decision_names, decision));
    return complete(r, &m);
}

/* ---------------------------------------------------------------- who is online */

/* Reads a row of presence; its agent is `id`. The rest is told if `out` is not NULL. */
static void read_presence(struct run *r, x0x_reader *m, uint8_t id[X0X_ID_SIZE], struct result *out)
{
    struct result unwanted = {.count = 0};
    if (out == NULL)
        out = &unwanted;
    x0x_read_array(m);
    read_id(m, id);
    add_id(out, "machine_id", m);
    for (uint32_t n = x0x_read_array(m); n > 0 && !m->failed; n--)
        read_text(r, m);
    x0x_read_uint(m); /* last_seen_ms */
    uint64_t source = x0x_read_uint(m);
    add_word(out, "source", NAME_OF(source_names, source));
    add_bool(out, "online", x0x_read_bool(m));
}

static int32_t c_presence(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)x;
    return tell_count(r, a, X0X_M_PRESENCE, out);
}

static int32_t c_wait_presence(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint64_t n = 0, want = get_number(r, x, "count", 0);
    for (;;) {
        int32_t s = ask_count(r, a, X0X_M_PRESENCE, &n);
        if (s != X0X_OK)
            return s;
        if (n == want)
            break;
        if (time_left(r) == 0)
            return X0X_E_TIMEOUT;
        pump(r, 50);
    }
    add_number(out, "count", n);
    return X0X_OK;
}

static int32_t c_presence_status(struct run *r, struct actor *a, const json *x, struct result *out)
{
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, X0X_M_PRESENCE_STATUS, about(r, &args, x, 0), &m);
    if (s != X0X_OK)
        return s;
    int exists = !x0x_read_nil(&m);
    add_bool(out, "exists", exists);
    if (exists)
        read_presence(r, &m, id, out);
    if (!x0x_reader_done(&m))
        fail(r, "more than a status");
    return complete(r, &m);
}

/* One walk: how many it found, and whether `want` is among them. */
static int32_t walk(struct run *r, struct actor *a, const json *x, const uint8_t *want, uint64_t *count, int *found)
{
    struct args args;
    uint8_t id[X0X_ID_SIZE];
    x0x_reader m;
    x0x_write_uint(arguments(&args, 2), get_number(r, x, "ttl", 0));
    x0x_write_uint(&args.w, get_number(r, x, "timeout_ms", 0));
    int32_t s = call(r, a, X0X_M_PRESENCE_FOAF, &args.w, &m);
    if (s != X0X_OK)
        return s;
    *count = x0x_read_array(&m);
    for (uint64_t i = 0; i < *count && !m.failed; i++) {
        read_presence(r, &m, id, NULL);
        *found |= want != NULL && memcmp(id, want, sizeof id) == 0;
    }
    return complete(r, &m);
}

static int32_t c_presence_foaf(struct run *r, struct actor *a, const json *x, struct result *out)
{
    uint64_t n = 0;
    int found = 0;
    int32_t s = walk(r, a, x, NULL, &n, &found);
    add_number(out, "count", n);
    return s;
}

static int32_t c_find_presence(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    uint8_t want[X0X_ID_SIZE];
    value_id(r, json_get(x, "agent"), want);
    for (;;) {
        uint64_t n;
        int found = 0;
        int32_t s = walk(r, a, x, want, &n, &found);
        if (s != X0X_OK || found)
            return s;
        if (time_left(r) == 0)
            return X0X_E_TIMEOUT;
        pump(r, 50);
    }
}

static int32_t c_watch_presence(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    return ask(r, a->agent.handle, X0X_M_WATCH_PRESENCE, about(r, &args, x, 0), NULL);
}

static int32_t c_unwatch_presence(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    return ask(r, a->agent.handle, X0X_M_UNWATCH_PRESENCE, about(r, &args, x, 0), NULL);
}

/* ---------------------------------------------------------------- events and counters */

static int32_t c_set_events(struct run *r, struct actor *a, const json *x, struct result *out)
{
    (void)out;
    struct args args;
    x0x_write_uint(arguments(&args, 1), get_number(r, x, "mask", 0));
    return ask(r, a->agent.handle, X0X_M_SET_EVENTS, &args.w, NULL);
}

static int32_t c_event(struct run *r, struct actor *a, const json *x, struct result *out)
{
    static const struct {
        const char *name;
        uint16_t kind;
    } events[] = {{"connected", X0X_R_CONNECTED},  {"disconnected", X0X_R_DISCONNECTED}, {"peer_joined", X0X_R_PEER_JOINED},
                  {"message", X0X_R_EVENT_MESSAGE}, {"error", X0X_R_ERROR},               {"session_reset", X0X_R_SESSION_RESET},
                  {"contact_changed", X0X_R_CONTACT_CHANGED}, {"identity_conflict", X0X_R_IDENTITY_CONFLICT},
                  {"agent_online", X0X_R_AGENT_ONLINE}, {"agent_offline", X0X_R_AGENT_OFFLINE}};
    const char *name = value_text(r, json_get(x, "name"));
    const x0x_record *rec;
    uint16_t kind = 0;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (name != NULL && strcmp(name, events[i].name) == 0)
            kind = events[i].kind;
    if (kind == 0)
        fail(r, "no event %s", name ? name : "without a name");
    do {
        if ((rec = box_next(r, &a->agent, time_left(r))) == NULL)
            return ended(&a->agent);
    } while (rec->kind != kind);
    x0x_reader m = x0x_reader_init(x0x_record_meta(rec), rec->meta_len);
    x0x_read_array(&m);
    if (kind != X0X_R_ERROR)
        add_id(out, "agent", &m);
    if (kind == X0X_R_IDENTITY_CONFLICT || kind == X0X_R_AGENT_ONLINE || kind == X0X_R_AGENT_OFFLINE)
        add_id(out, "machine_id", &m);
    if (kind == X0X_R_EVENT_MESSAGE) {
        x0x_read_skip(&m); /* epoch */
        x0x_read_skip(&m); /* trust_level */
        add_word(out, "topic", read_text(r, &m));
        add_bytes(out, "payload", x0x_record_payload(rec), rec->payload_len);
    }
    return complete(r, &m);
}

/* The counter that is called by two texts, one after the other. */
static int32_t counter_value(struct run *r, struct actor *a, const char *prefix, const json *x, struct result *out)
{
    const char *name = value_text(r, json_get(x, "name"));
    size_t skip = strlen(prefix);
    x0x_reader m;
    int32_t s = ask(r, a->agent.handle, X0X_M_STATS, NULL, &m);
    if (s != X0X_OK)
        return s;
    for (uint32_t n = x0x_read_map(&m); n > 0 && !m.failed; n--) {
        const char *counter = read_text(r, &m);
        uint64_t v = x0x_read_uint(&m);
        if (name != NULL && strncmp(counter, prefix, skip) == 0 && strcmp(counter + skip, name) == 0)
            add_number(out, "value", v);
    }
    if (out->count != 1)
        fail(r, "%d counters %s", out->count, name ? name : "without a name");
    return complete(r, &m);
}

static int32_t c_stats(struct run *r, struct actor *a, const json *x, struct result *out) { return counter_value(r, a, "", x, out); }
static int32_t c_gossip_stats(struct run *r, struct actor *a, const json *x, struct result *out) { return counter_value(r, a, "gossip.", x, out); }

/* ---------------------------------------------------------------- the table */

static const struct {
    const char *name;
    int32_t (*run)(struct run *, struct actor *, const json *args, struct result *);
    const char *args; /* their names, each between spaces */
} calls[] = {
    {"open", NULL, ""},
    {"identity", c_identity, ""},
    {"join", c_join, ""},
    {"leave", c_leave, ""},
    {"close", c_close, ""},
    {"is_connected", c_is_connected, ""},
    {"is_agent_connected", c_is_agent_connected, " agent "},
    {"connect_agent", c_connect_agent, " agent "},
    {"connect_machine", c_connect_machine, " machine "},
    {"connect_address", c_connect_address, " of address "},
    {"add_peer", c_add_peer, " of "},
    {"peers", c_peers, ""},
    {"wait_peers", c_wait_peers, " count "},
    {"publish", c_publish, " topic payload count first timeout_ms wait "},
    {"subscribe", c_subscribe, " topic as replay max_messages policy paused "},
    {"unsubscribe", c_unsubscribe, " sub "},
    {"next", c_next, " sub "},
    {"next_many", c_next_many, " sub count first payload "},
    {"no_message", c_no_message, " sub for_ms "},
    {"subscription_info", c_subscription_info, " sub "},
    {"send", c_send, " to payload count first timeout_ms unordered fail_on_disconnect "},
    {"recv", c_recv, ""},
    {"recv_many", c_recv_many, " count first payload "},
    {"no_direct", c_no_direct, " for_ms "},
    {"inbox_info", c_inbox_info, ""},
    {"set_topic_priority", c_set_topic_priority, " topic priority "},
    {"neighbors", c_neighbors, ""},
    {"wait_neighbor", c_wait_neighbor, " agent "},
    {"known_peers", c_known_peers, ""},
    {"wait_link", c_wait_link, " topic agent "},
    {"gossip_stats", c_gossip_stats, " name "},
    {"set_trust", c_set_trust, " agent level "},
    {"trust", c_trust, " agent "},
    {"contacts", c_contacts, ""},
    {"sign", c_sign, " context payload as "},
    {"verify", c_verify, " agent context payload signature "},
    {"identity_words", c_identity_words, " agent "},
    {"card", c_card, " display_name include_user human_consent as "},
    {"import_card", c_import_card, " link level "},
    {"certificate", c_certificate, ""},
    {"contact", c_contact, " agent "},
    {"add_contact", c_add_contact, " agent level label "},
    {"remove_contact", c_remove_contact, " agent "},
    {"set_label", c_set_label, " agent label "},
    {"set_identity_type", c_set_identity_type, " agent identity_type "},
    {"add_machine", c_add_machine, " agent machine label "},
    {"remove_machine", c_remove_machine, " agent machine "},
    {"pin_machine", c_pin_machine, " agent machine "},
    {"unpin_machine", c_unpin_machine, " agent machine "},
    {"evaluate_trust", c_evaluate_trust, " agent machine "},
    {"presence", c_presence, ""},
    {"wait_presence", c_wait_presence, " count "},
    {"presence_status", c_presence_status, " agent "},
    {"presence_foaf", c_presence_foaf, " ttl timeout_ms "},
    {"find_presence", c_find_presence, " agent ttl timeout_ms "},
    {"watch_presence", c_watch_presence, " agent "},
    {"unwatch_presence", c_unwatch_presence, " agent "},
    {"event", c_event, " name "},
    {"set_events", c_set_events, " mask "},
    {"stats", c_stats, " name "},
};

#define CALLS (sizeof calls / sizeof *calls)

const char *call_args(const char *call)
{
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, call) == 0)
            return calls[i].args;
    return NULL;
}

int32_t run_call(struct run *r, struct actor *a, const json *step, struct result *out)
{
    const char *call = json_get(step, "call")->text;
    if (strcmp(call, "open") == 0)
        return open_actor(r, a);
    if (!a->open)
        fail(r, "agent %s has not been opened", a->name);
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, call) == 0)
            return calls[i].run(r, a, json_get(step, "args"), out);
    fail(r, "no call %s", call);
}
