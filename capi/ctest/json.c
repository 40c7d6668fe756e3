/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    json_doc *doc;
    const char *start, *p, *end;
    char *out; /* decoded strings; they are never longer than they are written */
    size_t used, cap;
};

static int fail(struct parser *s, const char *why)
{
    if (s->doc->error[0] == '\0')
        snprintf(s->doc->error, sizeof s->doc->error, "byte %zu: %s", (size_t)(s->p - s->start), why);
    return 0;
}

static void space(struct parser *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static int take(struct parser *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return 0;
    s->p++;
    return 1;
}

static int word(struct parser *s, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return fail(s, "no value");
    s->p += n;
    return 1;
}

static int hex4(struct parser *s, uint32_t *v)
{
    *v = 0;
    if (s->end - s->p < 4)
        return fail(s, "a cut escape");
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        if (c >= '0' && c <= '9')
            *v = *v << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            *v = *v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return fail(s, "a bad escape");
    }
    return 1;
}

/* Six bytes \uXXXX become at most three, a pair of twelve becomes four. */
static int code_point(struct parser *s)
{
    uint32_t v, low;
    if (!hex4(s, &v))
        return 0;
    if (v >= 0xd800 && v < 0xdc00) {
        if (!take(s, '\\') || !take(s, 'u') || !hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
            return fail(s, "half a surrogate pair");
        v = 0x10000 + ((v - 0xd800) << 10 | (low - 0xdc00));
    } else if (v >= 0xdc00 && v < 0xe000) {
        return fail(s, "half a surrogate pair");
    }
    if (v < 0x80) {
        *s->out++ = (char)v;
    } else if (v < 0x800) {
        *s->out++ = (char)(0xc0 | v >> 6);
        *s->out++ = (char)(0x80 | (v & 63));
    } else if (v < 0x10000) {
        *s->out++ = (char)(0xe0 | v >> 12);
        *s->out++ = (char)(0x80 | (v >> 6 & 63));
        *s->out++ = (char)(0x80 | (v & 63));
    } else {
        *s->out++ = (char)(0xf0 | v >> 18);
        *s->out++ = (char)(0x80 | (v >> 12 & 63));
        *s->out++ = (char)(0x80 | (v >> 6 & 63));
        *s->out++ = (char)(0x80 | (v & 63));
    }
    return 1;
}

static int string(struct parser *s, const char **text, size_t *len)
{
    static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char *from = s->out;
    if (!take(s, '"'))
        return fail(s, "no string");
    while (s->p < s->end && *s->p != '"') {
        const char *at;
        char c = *s->p++;
        if ((unsigned char)c < 0x20)
            return fail(s, "a control character in a string");
        if (c != '\\') {
            *s->out++ = c;
            continue;
        }
        if (s->p == s->end)
            break;
        c = *s->p++;
        if (c == 'u') {
            if (!code_point(s))
                return 0;
        } else if (c != '\0' && (at = strchr(plain, c)) != NULL) {
            *s->out++ = meaning[at - plain];
        } else {
            return fail(s, "a bad escape");
        }
    }
    if (!take(s, '"'))
        return fail(s, "a string without an end");
    *text = from;
    *len = (size_t)(s->out - from);
    *s->out++ = '\0'; /* in the place of the quotes */
    return 1;
}

static int number(struct parser *s, int64_t *v)
{
    int minus = take(s, '-');
    const char *digits = s->p;
    uint64_t n = 0;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        if (n > (uint64_t)(INT64_MAX - 9) / 10)
            return fail(s, "a number that is too large");
        n = n * 10 + (uint64_t)(*s->p++ - '0');
    }
    if (s->p == digits || (*digits == '0' && s->p > digits + 1))
        return fail(s, "no value");
    if (s->p < s->end && (*s->p == '.' || *s->p == 'e' || *s->p == 'E'))
        return fail(s, "a number that is no integer");
    *v = minus ? -(int64_t)n : (int64_t)n;
    return 1;
}

static json *value(struct parser *s, int depth);

/* The elements or members up to the closing mark. */
static int inside(struct parser *s, json *v, char closing, int depth)
{
    const json **link = &v->child;
    s->p++;
    space(s);
    if (take(s, closing))
        return 1;
    for (;;) {
        const char *name = NULL;
        size_t len;
        json *e;
        space(s);
        if (v->type == JSON_OBJECT) {
            if (!string(s, &name, &len))
                return 0;
            if (strlen(name) != len || json_get(v, name) != NULL)
                return fail(s, "a name with NUL, or twice in one object");
            space(s);
            if (!take(s, ':'))
                return fail(s, "no colon");
        }
        if ((e = value(s, depth)) == NULL)
            return 0;
        e->name = name;
        *link = e;
        link = &e->next;
        if (++v->count > JSON_MOST_MEMBERS)
            return fail(s, "too many members");
        space(s);
        if (take(s, closing))
            return 1;
        if (!take(s, ','))
            return fail(s, "neither a comma nor an end");
    }
}

static json *value(struct parser *s, int depth)
{
    json *v;
    int ok;
    space(s);
    if (s->p == s->end || depth > JSON_MOST_DEPTH || s->used == s->cap) {
        fail(s, s->p == s->end ? "no value" : "nested too deeply");
        return NULL;
    }
    v = &s->doc->nodes[s->used++];
    switch (*s->p) {
    case '{':
        v->type = JSON_OBJECT;
        ok = inside(s, v, '}', depth + 1);
        break;
    case '[':
        v->type = JSON_ARRAY;
        ok = inside(s, v, ']', depth + 1);
        break;
    case '"':
        v->type = JSON_TEXT;
        ok = string(s, &v->text, &v->len);
        break;
    case 't':
        v->type = JSON_BOOL;
        v->number = 1;
        ok = word(s, "true");
        break;
    case 'f':
        v->type = JSON_BOOL;
        ok = word(s, "false");
        break;
    case 'n':
        ok = word(s, "null");
        break;
    default:
        v->type = JSON_NUMBER;
        ok = number(s, &v->number);
    }
    return ok ? v : NULL;
}

json_doc json_parse(const char *text, size_t len)
{
    json_doc d = {.root = NULL};
    struct parser s = {.doc = &d, .start = text, .p = text, .end = text + len, .cap = len / 2 + 1}; /* a value and what separates it */
    if (len > JSON_MOST_BYTES) {
        fail(&s, "too long");
        return d;
    }
    d.text = s.out = malloc(len + 1);
    d.nodes = calloc(s.cap, sizeof *d.nodes);
    if (d.text == NULL || d.nodes == NULL) {
        fail(&s, "no memory");
        return d;
    }
    const json *root = value(&s, 0);
    space(&s);
    if (root != NULL && s.p != s.end)
        fail(&s, "more than one value");
    else
        d.root = root;
    return d;
}

json_doc json_load(const char *path)
{
    json_doc d = {.root = NULL};
    FILE *f = fopen(path, "rb");
    char *text = malloc(JSON_MOST_BYTES + 1);
    if (f == NULL || text == NULL) {
        snprintf(d.error, sizeof d.error, "cannot read it");
    } else {
        size_t n = fread(text, 1, JSON_MOST_BYTES + 1, f);
        if (ferror(f))
            snprintf(d.error, sizeof d.error, "cannot read it");
        else
            d = json_parse(text, n);
    }
    if (f != NULL)
        fclose(f);
    free(text);
    return d;
}

void json_free(json_doc *d)
{
    free(d->text);
    free(d->nodes);
    *d = (json_doc){.root = NULL};
}

const json *json_get(const json *object, const char *name)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    for (const json *m = object->child; m != NULL; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}
