/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A small JSON reader (RFC 8259) for files of our own: the whole text becomes a tree. Numbers
 * are integers. The tree lives in two allocations whose size follows from that of the text,
 * nesting is bounded, a name twice in one object is refused. */
#ifndef X0X_JSON_H
#define X0X_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_MOST_BYTES (4u << 20)
#define JSON_MOST_DEPTH 32
#define JSON_MOST_MEMBERS 1024 /* of one object: finding a name twice takes their square */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

typedef struct json {
    enum json_type type;
    const char *name; /* of a member of an object, else NULL; ends with NUL and has no other */
    const char *text; /* JSON_TEXT: len bytes of UTF-8, which may contain NUL, and a NUL behind */
    size_t len;
    int64_t number;           /* JSON_NUMBER; JSON_BOOL: 0 or 1 */
    const struct json *child; /* the first element or member */
    const struct json *next;
    size_t count; /* of elements or members */
} json;

typedef struct json_doc {
    const json *root;
    char *text;
    json *nodes;
    char error[120]; /* where root is NULL */
} json_doc;

/* Reads a text. On failure root is NULL and error says where and why. Free it in any case. */
json_doc json_parse(const char *text, size_t len);
json_doc json_load(const char *path);
void json_free(json_doc *d);

/* A member by its name, or NULL. Of NULL and of what is no object, NULL. */
const json *json_get(const json *object, const char *name);

#endif
