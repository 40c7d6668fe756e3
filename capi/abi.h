/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What abi.c and the Go side say to each other beside x0x.h. */
#ifndef X0X_ABI_H
#define X0X_ABI_H

#include "x0x.h"

/* The release, the same as core/x0x.Version: a Go declaration fails to compile otherwise. */
#define X0X_RELEASE "0.3.0"

void restore_nofile(void);
int call_wake(x0x_wake_fn fn, void *user_data);

#endif
