/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Runs include/scenarios.json, the list of what every language must be able to do, over the C
 * ABI:
 *
 *     scenarios FILE          every scenario must pass; none may leave a handle open
 *     scenarios --wrong FILE  every scenario is wrong on purpose, and must fail
 *
 * Each scenario has a network id, a registry, a queue and agents of its own. What the list
 * says and this program does not know is an error, so that a misspelt field cannot turn a
 * check off. */
#include "scenarios.h"

#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------- memory, time, failing */

struct kept {
    struct kept *next;
    _Alignas(16) unsigned char data[];
};

uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void fail(struct run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    longjmp(r->failed, 1);
}

void *keep(struct run *r, size_t n)
{
    struct kept *k = malloc(sizeof *k + n);
    if (k == NULL)
        fail(r, "no memory for %zu bytes", n);
    k->next = r->kept;
    r->kept = k;
    return k->data;
}

/* ---------------------------------------------------------------- values of the list */

uint64_t get_number(struct run *r, const json *object, const char *name, uint64_t otherwise)
{
    const json *v = json_get(object, name);
    if (v == NULL)
        return otherwise;
    if (v->type != JSON_NUMBER || v->number < 0)
        fail(r, "%s is no number", name);
    return (uint64_t)v->number;
}

int64_t get_signed(struct run *r, const json *object, const char *name, int64_t otherwise)
{
    const json *v = json_get(object, name);
    if (v != NULL && v->type != JSON_NUMBER)
        fail(r, "%s is no number", name);
    return v != NULL ? v->number : otherwise;
}

int get_bool(struct run *r, const json *object, const char *name, int otherwise)
{
    const json *v = json_get(object, name);
    if (v == NULL)
        return otherwise;
    if (v->type != JSON_BOOL)
        fail(r, "%s is neither true nor false", name);
    return (int)v->number;
}

static int digit(struct run *r, char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c < 'a' || c > 'f')
        fail(r, "no hexadecimal digit");
    return c - 'a' + 10;
}

/* Text, or bytes in one of three ways:
 * {"hex": "00ff"}  {"repeat": "ab", "times": 3}  {"random": 7, "size": 100} */
struct bytes value_bytes(struct run *r, const json *v)
{
    const json *hex = json_get(v, "hex"), *repeat = json_get(v, "repeat"), *random = json_get(v, "random");
    if (v == NULL)
        return (struct bytes){NULL, 0};
    if (v->type == JSON_TEXT)
        return (struct bytes){v->text, v->len};
    if (hex != NULL && hex->type == JSON_TEXT && v->count == 1 && hex->len % 2 == 0) {
        unsigned char *p = keep(r, hex->len / 2);
        for (size_t i = 0; i < hex->len / 2; i++)
            p[i] = (unsigned char)(digit(r, hex->text[2 * i]) << 4 | digit(r, hex->text[2 * i + 1]));
        return (struct bytes){p, hex->len / 2};
    }
    if (repeat != NULL && repeat->type == JSON_TEXT && v->count == 2 && repeat->len > 0) {
        uint64_t times = get_number(r, v, "times", UINT64_MAX);
        if (times > MOST_BYTES / repeat->len)
            fail(r, "too many bytes");
        unsigned char *p = keep(r, repeat->len * (size_t)times);
        for (size_t i = 0; i < repeat->len * (size_t)times; i++)
            p[i] = (unsigned char)repeat->text[i % repeat->len];
        return (struct bytes){p, repeat->len * (size_t)times};
    }
    if (random != NULL && random->type == JSON_NUMBER && v->count == 2) {
        uint64_t seed = get_number(r, v, "random", 0), size = get_number(r, v, "size", UINT64_MAX);
        if (size > MOST_BYTES)
            fail(r, "too many bytes");
        unsigned char *p = keep(r, (size_t)size);
        for (uint64_t i = 0; i < size; i++)
            p[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8) * 13);
        return (struct bytes){p, (size_t)size};
    }
    fail(r, "a value is neither text, hex, repeat nor random");
}

struct bytes value_numbered(struct run *r, const json *v, uint64_t index)
{
    struct bytes base = value_bytes(r, v);
    char *p = keep(r, base.n + 24);
    if (base.n > 0)
        memcpy(p, base.p, base.n);
    int n = snprintf(p + base.n, 24, "-%llu", (unsigned long long)index);
    return (struct bytes){p, base.n + (size_t)n};
}

static struct actor *find_actor(struct run *r, const char *name)
{
    for (struct actor *a = r->actors; a < r->actors + r->actor_count; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    fail(r, "no agent %s", name);
}

struct actor *actor_by_name(struct run *r, const char *name)
{
    struct actor *a = find_actor(r, name);
    if (!a->open)
        fail(r, "agent %s has not been opened", name);
    return a;
}

/* "@b", "@b.machine", "$saved.field" or bytes. */
void value_id(struct run *r, const json *v, uint8_t id[X0X_ID_SIZE])
{
    struct bytes b = value_bytes(r, v);
    if (v == NULL || v->type != JSON_TEXT) {
        if (b.n != X0X_ID_SIZE)
            fail(r, "an id has %d bytes, not %zu", X0X_ID_SIZE, b.n);
        memcpy(id, b.p, X0X_ID_SIZE);
        return;
    }
    char name[64];
    if (v->len < 2 || v->len >= sizeof name || strlen(v->text) != v->len)
        fail(r, "\"%s\" names no id", v->text);
    memcpy(name, v->text + 1, v->len);
    char *dot = strchr(name, '.');
    if (dot != NULL)
        *dot++ = '\0';
    if (v->text[0] == '@' && (dot == NULL || strcmp(dot, "machine") == 0)) {
        struct actor *a = actor_by_name(r, name);
        memcpy(id, dot ? a->machine_id : a->agent_id, X0X_ID_SIZE);
        return;
    }
    if (v->text[0] == '$' && dot != NULL)
        for (int i = 0; i < r->saved_count; i++)
            for (int k = 0; k < r->saved[i].result.count; k++) {
                const struct field *f = &r->saved[i].result.fields[k];
                if (strcmp(r->saved[i].name, name) == 0 && strcmp(f->name, dot) == 0 && f->type == F_ID) {
                    memcpy(id, f->id, X0X_ID_SIZE);
                    return;
                }
            }
    fail(r, "\"%s\" names no id", v->text);
}

/* Text in which "$TMP" at the start is the folder of the scenario, and "$b.address" an address. */
const char *value_text(struct run *r, const json *v)
{
    if (v == NULL)
        return NULL;
    if (v->type != JSON_TEXT || strlen(v->text) != v->len)
        fail(r, "%s is no text", v->name ? v->name : "a value");
    if (v->text[0] != '$')
        return v->text;
    size_t size = v->len + sizeof r->home;
    char *s = keep(r, size), *dot;
    if (strncmp(v->text, "$TMP", 4) == 0) {
        snprintf(s, size, "%s%s", r->home, v->text + 4);
        return s;
    }
    snprintf(s, size, "%s", v->text + 1);
    if ((dot = strchr(s, '.')) == NULL || strcmp(dot, ".address") != 0)
        fail(r, "\"%s\" names nothing", v->text);
    *dot = '\0';
    return first_address(r, actor_by_name(r, s));
}

int level_of(struct run *r, const json *v)
{
    const char *name = value_text(r, v);
    for (int i = 0; i < 4; i++)
        if (name != NULL && strcmp(name, level_names[i]) == 0)
            return i;
    fail(r, "no trust level %s", name ? name : "");
}

/* ---------------------------------------------------------------- comparing */

static int same_word(const json *want, const char *got)
{
    if (want->type == JSON_TEXT)
        return strlen(got) == want->len && memcmp(got, want->text, want->len) == 0;
    if (want->type == JSON_ARRAY) /* one of several */
        for (const json *e = want->child; e != NULL; e = e->next)
            if (e->type == JSON_TEXT && same_word(e, got))
                return 1;
    return 0;
}

static int same(struct run *r, const json *want, const struct field *got)
{
    uint8_t id[X0X_ID_SIZE];
    struct bytes b;
    switch (got->type) {
    case F_ID:
        value_id(r, want, id);
        return memcmp(id, got->id, X0X_ID_SIZE) == 0;
    case F_BYTES:
        b = value_bytes(r, want);
        return b.n == got->bytes.n && (b.n == 0 || memcmp(b.p, got->bytes.p, b.n) == 0);
    case F_WORD:
        return same_word(want, got->word);
    case F_BOOL:
        return want->type == JSON_BOOL && (uint64_t)want->number == got->number;
    case F_NUMBER:
        return want->type == JSON_NUMBER && want->number >= 0 && (uint64_t)want->number == got->number;
    }
    return 0;
}

static void compare(struct run *r, const json *expect, const struct result *result)
{
    for (const json *want = expect ? expect->child : NULL; want != NULL; want = want->next) {
        const struct field *got = NULL;
        for (int i = 0; i < result->count; i++)
            if (strcmp(result->fields[i].name, want->name) == 0)
                got = &result->fields[i];
        if (got == NULL)
            fail(r, "the result has no field %s", want->name);
        if (same(r, want, got))
            continue;
        if (got->type == F_WORD)
            fail(r, "%s is %s", want->name, got->word);
        else if (got->type == F_BYTES)
            fail(r, "%s is \"%.*s\" (%zu bytes)", want->name, (int)(got->bytes.n < 40 ? got->bytes.n : 40), (const char *)got->bytes.p, got->bytes.n);
        else if (got->type == F_ID)
            fail(r, "%s is another id", want->name);
        fail(r, "%s is %llu", want->name, (unsigned long long)got->number);
    }
}

/* The name of a kind as the list writes it: "timeout" for X0X_E_TIMEOUT. */
static int is_kind(int32_t status, const char *kind)
{
    const char *name = x0x_status_name(status);
    if (strncmp(name, "X0X_E_", 6) != 0)
        return 0;
    for (name += 6; *name != '\0' && *kind != '\0'; name++, kind++)
        if ((*name >= 'A' && *name <= 'Z' ? *name + 'a' - 'A' : *name) != *kind)
            return 0;
    return *name == *kind;
}

/* ---------------------------------------------------------------- running */

static void run_step(struct run *r, const json *step)
{
    const json *error = json_get(step, "error"), *save = json_get(step, "save");
    struct result result = {.count = 0};
    r->deadline = now_ms() + get_number(r, step, "timeout_ms", STEP_MS);
    r->err = (x0x_err){.size = sizeof r->err};
    int32_t s = run_call(r, find_actor(r, json_get(step, "actor")->text), step, &result);
    if (error != NULL && s == X0X_OK)
        fail(r, "it succeeded, want the error %s", error->text);
    if (error != NULL && !is_kind(s, error->text))
        fail(r, "it failed with %s (%s), want %s", x0x_status_name(s), r->err.message, error->text);
    if (error != NULL)
        return;
    if (s != X0X_OK)
        fail(r, "it failed with %s: %s", x0x_status_name(s), r->err.message);
    if (save != NULL) {
        if (r->saved_count == MOST_SAVED)
            fail(r, "too many saved results");
        r->saved[r->saved_count].name = save->text;
        r->saved[r->saved_count++].result = result;
    }
    compare(r, json_get(step, "expect"), &result);
}

static void run_steps(struct run *r)
{
    int32_t s;
    volatile int i = 0;
    for (const json *spec = json_get(r->scenario, "agents")->child; spec != NULL; spec = spec->next) {
        if (r->actor_count == MOST_ACTORS)
            fail(r, "too many agents");
        r->actors[r->actor_count++] = (struct actor){.name = spec->name, .spec = spec};
    }
    for (struct actor *a = r->actors; a < r->actors + r->actor_count; a++)
        if (get_bool(r, a->spec, "open", 1) && (s = open_actor(r, a)) != X0X_OK)
            fail(r, "opening %s: %s: %s", a->name, x0x_status_name(s), r->err.message);
    for (const json *step = json_get(r->scenario, "steps")->child; step != NULL; step = step->next) {
        i = i + 1;
        jmp_buf outer;
        memcpy(&outer, &r->failed, sizeof outer);
        if (setjmp(r->failed) != 0) {
            char why[sizeof r->why];
            memcpy(why, r->why, sizeof why);
            memcpy(&r->failed, &outer, sizeof outer);
            fail(r, "step %d, %s.%s: %.400s", i, json_get(step, "actor")->text, json_get(step, "call")->text, why);
        }
        run_step(r, step);
        memcpy(&r->failed, &outer, sizeof outer);
    }
}

/* Closes everything and reads what is still told: each agent's X0X_R_CLOSED is its last. */
static void finish(struct run *r)
{
    int32_t s;
    r->deadline = now_ms() + STEP_MS;
    for (struct actor *a = r->actors; a < r->actors + r->actor_count; a++) {
        if (a->open && !a->closed && (s = x0x_close_wait(a->agent.handle, time_left(r))) != X0X_OK)
            fail(r, "closing %s: %s", a->name, x0x_status_name(s));
        while (a->open && !a->agent.closed)
            if (!pump(r, time_left(r)) && time_left(r) == 0)
                fail(r, "agent %s never said that it closed", a->name);
        if (a->inbox.handle != 0 && !a->inbox.closed)
            fail(r, "the inbox of %s never said that it closed", a->name);
        for (int i = 0; i < a->sub_count; i++)
            if (!a->subs[i].box.closed)
                fail(r, "subscription %s of %s never said that it closed", a->subs[i].name, a->name);
    }
    if ((s = x0x_handle_close(r->queue)) != X0X_OK)
        fail(r, "closing the queue: %s", x0x_status_name(s));
    if (x0x_live_handles(X0X_KIND_ANY) != 0)
        fail(r, "%llu handles are left", (unsigned long long)x0x_live_handles(X0X_KIND_ANY));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Runs one scenario; 1 if it passed, else r->why says why not. */
static int run_scenario(struct run *r, const json *scenario, int index)
{
    volatile int passed = 1;
    char why[sizeof r->why];
    *r = (struct run){.scenario = scenario, .polls = index % 2, .first_token = 1, .err = {.size = sizeof r->err}};
    snprintf(r->network, sizeof r->network, "cscenario-%d-%d", (int)getpid(), index);
    snprintf(r->dir, sizeof r->dir, "/tmp/x0x-cscenario-XXXXXX");
    if (mkdtemp(r->dir) == NULL) {
        snprintf(r->why, sizeof r->why, "no temporary folder");
        return 0;
    }
    snprintf(r->runtime, sizeof r->runtime, "%s/runtime", r->dir);
    snprintf(r->home, sizeof r->home, "%s/home", r->dir);
    if (setjmp(r->failed) == 0) {
        r->cap = 4096; /* small: larger records must say their size */
        r->buf = malloc(r->cap);
        if (r->buf == NULL || mkdir(r->runtime, 0700) != 0 || mkdir(r->home, 0700) != 0 || x0x_queue_new(NULL, &r->queue, NULL) != X0X_OK)
            fail(r, "cannot begin");
        run_steps(r);
    } else {
        passed = 0;
    }
    memcpy(why, r->why, sizeof why);
    if (setjmp(r->failed) == 0) {
        finish(r);
    } else { /* the next scenario must not suffer */
        x0x_shutdown_wait(STEP_MS);
        if (passed)
            memcpy(why, r->why, sizeof why);
        passed = 0;
    }
    memcpy(r->why, why, sizeof why);
    while (r->kept != NULL) {
        struct kept *k = r->kept;
        r->kept = k->next;
        free(k);
    }
    free(r->buf);
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return passed;
}

/* ---------------------------------------------------------------- the list */

/* Says what is wrong with the form of the list and ends. */
static _Noreturn void malformed(const json *scenario, int step, const char *what, const char *which)
{
    const json *name = json_get(scenario, "name");
    fprintf(stderr, "scenario \"%s\", step %d: %s %s\n", name && name->type == JSON_TEXT ? name->text : "", step, what, which);
    exit(2);
}

/* All members of an object are among `names`, each between spaces. */
static void only(const json *scenario, int step, const json *object, const char *names)
{
    char name[64];
    if (object != NULL && object->type != JSON_OBJECT)
        malformed(scenario, step, "no object:", object->name);
    for (const json *m = object ? object->child : NULL; m != NULL; m = m->next) {
        snprintf(name, sizeof name, " %s ", m->name);
        if (strchr(m->name, ' ') != NULL || strstr(names, name) == NULL)
            malformed(scenario, step, "no field", m->name);
    }
}

static const json *need(const json *scenario, int step, const json *object, const char *name, enum json_type type)
{
    const json *v = json_get(object, name);
    if (v == NULL || v->type != type || ((type == JSON_OBJECT || type == JSON_ARRAY) && v->count == 0))
        malformed(scenario, step, "it lacks", name);
    return v;
}

static void check_list(const json *root)
{
    only(NULL, 0, root, " version scenarios ");
    if (need(NULL, 0, root, "version", JSON_NUMBER)->number != 1)
        malformed(NULL, 0, "another version", "of the list");
    for (const json *s = need(NULL, 0, root, "scenarios", JSON_ARRAY)->child; s != NULL; s = s->next) {
        int i = 0;
        only(s, 0, s, " name why agents steps ");
        const json *name = need(s, 0, s, "name", JSON_TEXT);
        need(s, 0, s, "why", JSON_TEXT);
        for (const json *o = json_get(root, "scenarios")->child; o != s; o = o->next)
            if (strcmp(json_get(o, "name")->text, name->text) == 0)
                malformed(s, 0, "it is there twice:", name->text);
        const json *agents = need(s, 0, s, "agents", JSON_OBJECT);
        for (const json *a = agents->child; a != NULL; a = a->next)
            only(s, 0, a, spec_names);
        for (const json *step = need(s, 0, s, "steps", JSON_ARRAY)->child; step != NULL; step = step->next) {
            i++;
            only(s, i, step, " actor call args expect error timeout_ms save ");
            const char *actor = need(s, i, step, "actor", JSON_TEXT)->text, *call = need(s, i, step, "call", JSON_TEXT)->text;
            if (json_get(agents, actor) == NULL)
                malformed(s, i, "no agent", actor);
            if (call_args(call) == NULL)
                malformed(s, i, "no call", call);
            only(s, i, json_get(step, "args"), call_args(call));
            if (json_get(step, "expect") != NULL)
                need(s, i, step, "expect", JSON_OBJECT);
            if (json_get(step, "error") != NULL)
                need(s, i, step, "error", JSON_TEXT);
            if (json_get(step, "save") != NULL)
                need(s, i, step, "save", JSON_TEXT);
            if (json_get(step, "error") != NULL && json_get(step, "expect") != NULL)
                malformed(s, i, "a failure has no result", "to expect");
        }
    }
}

int main(int argc, char **argv)
{
    static struct run r;
    int wrong = argc == 3 && strcmp(argv[1], "--wrong") == 0, index = 0, passed = 0, failed = 0;
    if (argc != 2 + wrong) {
        fprintf(stderr, "usage: %s [--wrong] scenarios.json\n", argv[0]);
        return 2;
    }
    if (x0x_abi_version() >> 16 != X0X_ABI_MAJOR) {
        fprintf(stderr, "the library is of another major version\n");
        return 2;
    }
    json_doc d = json_load(argv[1 + wrong]);
    if (d.root == NULL) {
        fprintf(stderr, "%s: %s\n", argv[1 + wrong], d.error);
        json_free(&d);
        return 2;
    }
    check_list(d.root);
    const json *list = json_get(d.root, "scenarios");
    for (const json *s = list->child; s != NULL; s = s->next) {
        const char *name = json_get(s, "name")->text;
        int ok = run_scenario(&r, s, index++);
        if (ok)
            printf("scenario %s ok\n", name);
        else
            printf("scenario %s FAILED: %s\n", name, r.why);
        fflush(stdout);
        passed += ok;
        failed += !ok;
    }
    int skipped = (int)list->count - passed - failed;
    json_free(&d);
    if (wrong) {
        printf("%d wrong scenarios failed as they must, %d passed\n", failed, passed);
        return passed == 0 && failed > 0 ? 0 : 1;
    }
    printf("%d scenarios passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed == 0 && skipped == 0 && passed > 0 ? 0 : 1;
}
