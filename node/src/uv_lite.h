/* The few libuv entry points that the addon needs.
 *
 * A Node binary exports libuv, and its ABI is fixed within major version 1 (every Node that
 * this package supports). Declaring it here keeps the build at one line of gcc with no header
 * download: handles are opaque, allocated by the size that libuv itself reports.
 */
#ifndef X0X_UV_LITE_H
#define X0X_UV_LITE_H

#include <stddef.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;

enum { UV_POLL_HANDLE = 8, UV_SIGNAL_HANDLE = 16 }; /* uv_handle_type */
enum { UV_POLL_READABLE = 1 };                      /* uv_poll_event */

size_t uv_handle_size(int type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, void (*closed)(uv_handle_t *));

int uv_poll_init(uv_loop_t *loop, uv_handle_t *poll, int fd);
int uv_poll_start(uv_handle_t *poll, int events, void (*ready)(uv_handle_t *, int status, int events));
int uv_poll_stop(uv_handle_t *poll);
int uv_signal_init(uv_loop_t *loop, uv_handle_t *signal);
int uv_signal_start(uv_handle_t *signal, void (*caught)(uv_handle_t *, int signum), int signum);

#endif
