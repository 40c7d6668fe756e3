package main

/*
#include "abi.h"
*/
import "C"

import (
	"math"
	"unicode/utf8"
	"unsafe"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/bridge"
	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// run is the body of every export: it contains panics, turns an error into its status
// and fills e, which may be nil.
func run(name string, e *C.x0x_err, fn func() error) C.int32_t {
	if e != nil && e.size < C.uint32_t(unsafe.Sizeof(*e)) {
		return abi.EInvalidArgument
	}
	err := contained(name, fn)
	if err == nil {
		if e != nil {
			e.code = abi.Ok
		}
		return abi.Ok
	}
	status := C.int32_t(bridge.Status(err))
	if e != nil {
		e.code = status
		e.flags = C.uint32_t(bridge.ErrorFlags(err))
		message := unsafe.Slice((*byte)(unsafe.Pointer(&e.message)), len(e.message))
		n := copy(message[:len(message)-1], fitting(err.Error(), len(message)-1))
		message[n] = 0
	}
	return status
}

func contained(name string, fn func() error) (err error) {
	defer library.Contain(name, &err)
	return fn()
}

// fitting cuts s to max bytes, between characters.
func fitting(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

var errTooSmall = &wire.Error{Kind: wire.KindTooSmall, Op: "call", Msg: "the buffer is too small; the needed size was written"}

func invalid(format string, args ...any) error {
	return wire.Errorf(wire.KindInvalidArgument, "call", format, args...)
}

// given checks a pointer that must not be NULL.
func given[T any](p *T, name string) error {
	if p == nil {
		return invalid("%s is NULL", name)
	}
	return nil
}

// room checks a pointer and its length: NULL exactly where the length is 0, and no
// length that no memory has.
func room(p unsafe.Pointer, n C.size_t, name string) error {
	if p == nil && n != 0 {
		return invalid("%s is NULL, with a length of %d", name, n)
	}
	if n > math.MaxInt64/2 {
		return invalid("the length of %s is negative", name)
	}
	return nil
}

// memory is the memory of the caller as a slice, for the time of the call.
func memory(p unsafe.Pointer, n C.size_t) []byte {
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), int(n))
}

func clearHandle(out *C.uint64_t) {
	if out != nil {
		*out = 0
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// The numbers that Go takes from the generated table are those that C sees.
var _ = map[bool]struct{}{false: {}, C.X0X_MAX_DIRECT_PAYLOAD == abi.MaxDirectPayload && C.X0X_ABI_MINOR == abi.AbiMinor &&
	C.X0X_E_FORKED == abi.EForked && C.X0X_R_FATAL == abi.RFatal: {}}

// The release that C sees is that of the façade.
var _ = map[bool]struct{}{false: {}, C.X0X_RELEASE == x0x.Version: {}}
