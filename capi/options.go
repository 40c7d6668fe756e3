package main

/*
#include <string.h>
#include "abi.h"
*/
import "C"

import (
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/bridge"
	"github.com/saorsa-labs/x0x-go/core/wire"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

const (
	maxStruct = 4096     // bytes of an option struct of a version to come
	maxText   = 4096     // bytes of a path or address: PATH_MAX
	maxList   = 64 << 10 // bytes of a list of addresses
)

// readStruct copies an option struct that begins with its size into a value of the
// version of this library. What an older caller does not have stays zero; what a
// newer one has beyond must be zero, since it would be ignored.
func readStruct[T any](p *T, oldest uintptr) (v T, err error) {
	if p == nil {
		return v, nil
	}
	size := uintptr(*(*C.uint32_t)(unsafe.Pointer(p)))
	if size < oldest || size > maxStruct {
		return v, invalid("the size of the option struct is %d", size)
	}
	from := unsafe.Slice((*byte)(unsafe.Pointer(p)), size)
	known := min(size, unsafe.Sizeof(v))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v)), known), from)
	for _, b := range from[known:] {
		if b != 0 {
			return v, wire.Errorf(wire.KindUnsupported, "read options", "an option is set that this version does not know")
		}
	}
	return v, nil
}

// The sizes of the first version of each struct. What was appended since is zero for
// whoever was compiled against an older header.
const (
	sizeQueueOptions = unsafe.Sizeof(C.x0x_queue_options{})
	sizeOptions      = unsafe.Offsetof(C.x0x_options{}.active_peers)
	sizeSubOptions   = unsafe.Sizeof(C.x0x_sub_options{})

	// x0x_options of ABI 1.1 ended in padding, with whatever was there, where visibility is.
	sizeOptions11 = unsafe.Offsetof(C.x0x_options{}.presence_interval_ms)
)

func queueOptions(p *C.x0x_queue_options) (o bridge.QueueOptions, err error) {
	c, err := readStruct(p, sizeQueueOptions)
	return bridge.QueueOptions{EventLimit: int(c.event_limit), LogLimit: int(c.log_limit)}, err
}

func subscribeOptions(p *C.x0x_sub_options) (o x0x.SubscribeOptions, credit uint32, err error) {
	c, err := readStruct(p, sizeSubOptions)
	if err != nil {
		return o, 0, err
	}
	if c.flags&^abi.SubNoReplay != 0 {
		return o, 0, invalid("unknown flags %#x", c.flags)
	}
	switch c.policy {
	case abi.DropOldest:
		o.Policy = x0x.DropOldest
	case abi.DropNewest:
		o.Policy = x0x.DropNewest
	default:
		return o, 0, invalid("unknown policy %d", c.policy)
	}
	if c.max_messages > math.MaxInt32 || c.max_bytes > math.MaxInt64 {
		return o, 0, invalid("max_messages or max_bytes is negative")
	}
	o.NoReplay = c.flags&abi.SubNoReplay != 0
	o.MaxMessages = int(c.max_messages)
	o.MaxBytes = int64(c.max_bytes)
	return o, uint32(c.credit), nil
}

// processOptions concern the whole process; 0 leaves what is.
type processOptions struct {
	keepNofile  bool
	maxProcs    int
	gcPercent   int
	memoryLimit int64
}

func (o processOptions) apply() {
	if !o.keepNofile {
		C.restore_nofile()
	}
	if o.maxProcs > 0 && o.maxProcs != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(o.maxProcs)
	}
	if o.gcPercent != 0 {
		debug.SetGCPercent(o.gcPercent)
	}
	if o.memoryLimit > 0 {
		debug.SetMemoryLimit(o.memoryLimit)
	}
}

func agentOptions(p *C.x0x_options) (o x0x.Options, process processOptions, err error) {
	c, err := readStruct(p, sizeOptions)
	if err != nil {
		return o, process, err
	}
	if uintptr(c.size) <= sizeOptions11 {
		c.visibility = 0
	}
	if c.flags&^(abi.OpenNoLocalDiscovery|abi.OpenKeepNofile|abi.OpenNoRelay) != 0 {
		return o, process, invalid("unknown flags %#x", c.flags)
	}
	text := func(s *C.char, name string, max C.size_t) string {
		if s == nil || err != nil {
			return ""
		}
		n := C.strnlen(s, max+1)
		if n > max {
			err = invalid("%s is longer than %d bytes", name, max)
			return ""
		}
		return C.GoStringN(s, C.int(n))
	}
	bytes := func(b *C.uint8_t, n C.size_t, name string) []byte {
		if err == nil {
			err = room(unsafe.Pointer(b), n, name)
		}
		if err == nil && n > maxText+maxText {
			err = invalid("%s has %d bytes", name, n)
		}
		if err != nil || n == 0 {
			return nil
		}
		return C.GoBytes(unsafe.Pointer(b), C.int(n))
	}
	ms := func(v C.uint32_t) time.Duration { return time.Duration(v) * time.Millisecond }
	count := func(v C.uint32_t, name string) int {
		if v > math.MaxInt32 && err == nil {
			err = invalid("%s is negative", name)
		}
		return int(v)
	}

	o = x0x.Options{
		Name:             text(c.name, "name", maxText),
		HomeDir:          text(c.home_dir, "home_dir", maxText),
		IdentityDir:      text(c.identity_dir, "identity_dir", maxText),
		RuntimeDir:       text(c.runtime_dir, "runtime_dir", maxText),
		NetworkID:        text(c.network_id, "network_id", maxText),
		Bind:             text(c.bind, "bind", maxText),
		Bootstrap:        list(text(c.bootstrap, "bootstrap", maxList)),
		MachineKeyPath:   text(c.machine_key_path, "machine_key_path", maxText),
		AgentKeyPath:     text(c.agent_key_path, "agent_key_path", maxText),
		MachineKey:       bytes(c.machine_key, c.machine_key_len, "machine_key"),
		AgentKey:         bytes(c.agent_key, c.agent_key_len, "agent_key"),
		ContactsPath:     text(c.contacts_path, "contacts_path", maxText),
		UserKeyPath:      text(c.user_key_path, "user_key_path", maxText),
		UserKey:          bytes(c.user_key, c.user_key_len, "user_key"),
		DialTimeout:      ms(c.dial_timeout_ms),
		SendTimeout:      ms(c.send_timeout_ms),
		PeerTimeout:      ms(c.peer_timeout_ms),
		SessionTTL:       ms(c.session_ttl_ms),
		CloseGrace:       ms(c.close_grace_ms),
		InboxMessages:    count(c.inbox_messages, "inbox_messages"),
		InboxBytes:       int64(c.inbox_bytes),
		MaxOperations:    count(c.max_operations, "max_operations"),
		MaxPeers:         count(c.max_peers, "max_peers"),
		ActivePeers:      count(c.active_peers, "active_peers"),
		PassivePeers:     count(c.passive_peers, "passive_peers"),
		NoLocalDiscovery: c.flags&abi.OpenNoLocalDiscovery != 0,
		NoRelay:          c.flags&abi.OpenNoRelay != 0,

		MaxPeersPerAddress: int(c.max_peers_per_address),
		PresenceInterval:   ms(c.presence_interval_ms),
		PresenceTimeout:    ms(c.presence_timeout_ms),
	}
	process = processOptions{
		keepNofile:  c.flags&abi.OpenKeepNofile != 0,
		maxProcs:    count(c.go_max_procs, "go_max_procs"),
		gcPercent:   int(c.go_gc_percent),
		memoryLimit: int64(c.go_memory_limit),
	}
	if err != nil {
		return o, process, err
	}
	switch c.accept_from {
	case 0:
	case abi.TrustUnknown, abi.TrustKnown, abi.TrustTrusted:
		o.AcceptFrom = x0x.TrustLevel(c.accept_from)
	default:
		return o, process, invalid("unknown trust level %d", c.accept_from)
	}
	switch c.visibility {
	case abi.VisibleNetwork, abi.VisibleContacts, abi.VisibleNobody:
		o.Visibility = x0x.Visibility(c.visibility)
	default:
		return o, process, invalid("unknown visibility %d", c.visibility)
	}
	if c.inbox_bytes > math.MaxInt64 || c.go_memory_limit > math.MaxInt64 {
		return o, process, invalid("inbox_bytes or go_memory_limit is negative")
	}
	return o, process, nil
}

// list takes apart what commas separate.
func list(s string) (entries []string) {
	for entry := range strings.SplitSeq(s, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}
