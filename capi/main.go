// Command capi is libx0x.so, the C ABI of x0x, when it is built with
// -buildmode=c-shared (see the Makefile). include/x0x.h is its contract and manual.
//
// A call goes through three layers:
//
//	abi.c            x0x_send: refuses in the child of a fork, before Go is entered
//	exports.go       goSend: checks pointers, turns C into Go and errors into statuses
//	internal/bridge  what the library has open: handles, queues, operations, agents
//
// The exports contain panics. No protocol lives here; that is core/x0x and below.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../include -Wall -Wextra -Wno-unused-parameter
#cgo x0x_test_panic CFLAGS: -DX0X_TEST_PANIC
#include "abi.h"
*/
import "C"

func main() {} // never runs: a c-shared library has no main
