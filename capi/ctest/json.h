/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A JSON reader for the scenario list: a trusted file of ours, read into a tree that is never
 * freed. It stops the program at the first thing that is not JSON. */
#ifndef X0X_JSON_H
#define X0X_JSON_H

#include "harness.h"

struct json {
    enum { J_NULL, J_BOOL, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT } type;
    char *key; /* inside an object */
    double number;
    char *text;
    size_t len; /* of text, which may contain NUL */
    struct json *first, *next;
};

static inline const char *json_space(const char *p) { return p + strspn(p, " \t\r\n"); }

static inline const char *json_text(const char *p, char **out, size_t *len)
{
    CHECK(*p == '"');
    char *to = malloc(strlen(p)); /* never longer than its source */
    size_t n = 0;
    for (p++; *p != '"'; p++) {
        CHECK(*p != 0);
        if (*p != '\\') {
            to[n++] = *p;
            continue;
        }
        unsigned code;
        switch (*++p) {
        case 'n': to[n++] = '\n'; break;
        case 't': to[n++] = '\t'; break;
        case 'u':
            CHECK(sscanf(p + 1, "%4x", &code) == 1 && code < 0x80); /* the list needs no more */
            to[n++] = (char)code;
            p += 4;
            break;
        default:
            CHECK(strchr("\"\\/", *p) != NULL);
            to[n++] = *p;
        }
    }
    to[n] = 0;
    *out = to;
    *len = n;
    return p + 1;
}

static inline const char *json_value(const char *p, struct json *j)
{
    memset(j, 0, sizeof *j);
    p = json_space(p);
    if (*p == '"') {
        j->type = J_STRING;
        return json_text(p, &j->text, &j->len);
    }
    if (*p == '{' || *p == '[') {
        char end = *p == '{' ? '}' : ']';
        struct json **tail = &j->first;
        j->type = end == '}' ? J_OBJECT : J_ARRAY;
        for (p = json_space(p + 1); *p != end; p = json_space(p)) {
            struct json *item = malloc(sizeof *item);
            char *key = NULL;
            size_t n;
            if (end == '}') {
                p = json_space(json_text(p, &key, &n));
                CHECK(*p == ':');
                p++;
            }
            p = json_space(json_value(p, item));
            item->key = key;
            *tail = item;
            tail = &item->next;
            if (*p == ',')
                p++;
            else
                CHECK(*p == end);
        }
        return p + 1;
    }
    static const struct { const char *word; int type; double number; } words[] = {{"true", J_BOOL, 1}, {"false", J_BOOL, 0}, {"null", J_NULL, 0}};
    for (size_t i = 0; i < 3; i++)
        if (strncmp(p, words[i].word, strlen(words[i].word)) == 0) {
            j->type = words[i].type;
            j->number = words[i].number;
            return p + strlen(words[i].word);
        }
    char *end;
    j->type = J_NUMBER;
    j->number = strtod(p, &end);
    CHECK(end != p);
    return end;
}

/* The member of an object; NULL without one, also of NULL. */
static inline const struct json *json_get(const struct json *j, const char *key)
{
    if (j == NULL)
        return NULL;
    for (const struct json *m = j->first; m; m = m->next)
        if (m->key && strcmp(m->key, key) == 0)
            return m;
    return NULL;
}

static inline const char *json_str(const struct json *j, const char *key)
{
    const struct json *m = json_get(j, key);
    return m && m->type == J_STRING ? m->text : NULL;
}

static inline double json_num(const struct json *j, const char *key, double otherwise)
{
    const struct json *m = json_get(j, key);
    return m ? m->number : otherwise;
}

#endif
