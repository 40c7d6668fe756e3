package main

/*
#include "abi.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/saorsa-labs/x0x-go/capi/internal/abi"
	"github.com/saorsa-labs/x0x-go/capi/internal/bridge"
	"github.com/saorsa-labs/x0x-go/core/x0x"
)

// library is what this process has open.
var library = bridge.New(bridge.Open)

// Defaults of timeouts of 0, as x0x.h has them or, for closing, a little more than
// the grace.
const (
	publishTimeout  = 10 * time.Second
	closeTimeout    = 5 * time.Second
	shutdownTimeout = 5 * time.Second
)

//export goBuildInfo
func goBuildInfo(buf unsafe.Pointer, capacity C.size_t, lenOut *C.size_t) C.int32_t {
	return run("build info", nil, func() error {
		if err := firstOf(given(lenOut, "len_out"), room(buf, capacity, "buf")); err != nil {
			return err
		}
		info := fmt.Sprintf("x0x %s %s %s/%s schema %s", x0x.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, abi.SchemaHash)
		*lenOut = C.size_t(len(info))
		if capacity < C.size_t(len(info)+1) {
			return errTooSmall
		}
		copy(memory(buf, capacity), info+"\x00")
		return nil
	})
}

//export goHandleKind
func goHandleKind(h C.uint64_t) C.int32_t {
	kind := 0
	status := run("handle kind", nil, func() (err error) {
		kind, err = library.Kind(uint64(h))
		return err
	})
	if status == abi.Ok {
		return C.int32_t(kind)
	}
	return status
}

//export goHandleClose
func goHandleClose(h C.uint64_t) C.int32_t {
	return run("close handle", nil, func() error { return library.Close(uint64(h)) })
}

//export goLiveHandles
func goLiveHandles(kind C.uint32_t) C.uint64_t { return C.uint64_t(library.Live(uint32(kind))) }

//export goQueueNew
func goQueueNew(options *C.x0x_queue_options, queueOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("new queue", e, func() error {
		if err := given(queueOut, "queue_out"); err != nil {
			return err
		}
		*queueOut = 0
		o, err := queueOptions(options)
		if err != nil {
			return err
		}
		h, err := library.NewQueue(o)
		*queueOut = C.uint64_t(h)
		return err
	})
}

//export goQueueFD
func goQueueFD(queue C.uint64_t, fdOut *C.int32_t) C.int32_t {
	return run("queue fd", nil, func() error {
		if err := given(fdOut, "fd_out"); err != nil {
			return err
		}
		*fdOut = -1
		q, err := library.Queue(uint64(queue))
		if err != nil {
			return err
		}
		fd, err := q.FD()
		*fdOut = C.int32_t(fd)
		return err
	})
}

//export goQueueWait
func goQueueWait(queue C.uint64_t, timeoutMs C.uint32_t) C.int32_t {
	waits := false
	status := run("wait for queue", nil, func() error {
		q, err := library.Queue(uint64(queue))
		if err != nil {
			return err
		}
		waits, err = q.Wait(bridge.Timeout(uint32(timeoutMs), 0)) // 0 only looks
		return err
	})
	if status == abi.Ok && !waits {
		return abi.SAgain
	}
	return status
}

//export goQueueSetWake
func goQueueSetWake(queue C.uint64_t, fn C.x0x_wake_fn, userData unsafe.Pointer) C.int32_t {
	return run("set wake", nil, func() error {
		q, err := library.Queue(uint64(queue))
		if err != nil {
			return err
		}
		if fn == nil {
			return q.SetWake(nil)
		}
		return q.SetWake(func() bool { return C.call_wake(fn, userData) != 0 })
	})
}

//export goQueueDrain
func goQueueDrain(queue C.uint64_t, buf unsafe.Pointer, capacity C.size_t, bytesOut *C.size_t, recordsOut *C.uint32_t) C.int32_t {
	var d bridge.Drained
	status := run("drain", nil, func() error {
		err := firstOf(given(bytesOut, "bytes_out"), given(recordsOut, "records_out"), room(buf, capacity, "buf"))
		if err != nil {
			return err
		}
		*bytesOut, *recordsOut = 0, 0
		if uintptr(buf)%8 != 0 {
			return invalid("buf is not aligned to 8 bytes")
		}
		q, err := library.Queue(uint64(queue))
		if err != nil {
			return err
		}
		d, err = q.Drain(memory(buf, capacity))
		*bytesOut, *recordsOut = C.size_t(d.Bytes), C.uint32_t(d.Records)
		return err
	})
	if status == abi.Ok && d.More {
		return abi.SMore
	}
	return status
}

//export goOpen
func goOpen(options *C.x0x_options, queue C.uint64_t, agentOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("open", e, func() error {
		if err := given(agentOut, "agent_out"); err != nil {
			return err
		}
		*agentOut = 0
		o, process, err := agentOptions(options)
		if err != nil {
			return err
		}
		if _, err := library.Queue(uint64(queue)); err != nil {
			return err
		}
		process.apply()
		h, err := library.OpenAgent(o, uint64(queue))
		*agentOut = C.uint64_t(h)
		return err
	})
}

//export goClose
func goClose(agent C.uint64_t, graceMs C.uint32_t) C.int32_t {
	return run("close", nil, func() error {
		grace := bridge.Timeout(uint32(graceMs), 0)
		if grace == bridge.Forever {
			grace = bridge.MaxGrace
		}
		_, err := library.CloseAgent(uint64(agent), grace)
		return err
	})
}

//export goCloseWait
func goCloseWait(agent C.uint64_t, timeoutMs C.uint32_t) C.int32_t {
	gone := false
	status := run("close", nil, func() (err error) {
		gone, err = library.CloseAgentWait(uint64(agent), bridge.Timeout(uint32(timeoutMs), closeTimeout))
		return err
	})
	if status == abi.Ok && !gone {
		return abi.ETimeout
	}
	return status
}

//export goShutdownWait
func goShutdownWait(timeoutMs C.uint32_t) C.int32_t {
	done := false
	status := run("shut down", nil, func() error {
		done = library.Shutdown(bridge.Timeout(uint32(timeoutMs), shutdownTimeout))
		return nil
	})
	if status == abi.Ok && !done {
		return abi.ETimeout
	}
	return status
}

//export goAgentID
func goAgentID(agent C.uint64_t, idOut *C.uint8_t) C.int32_t {
	return run("agent id", nil, func() error {
		if err := given(idOut, "id_out"); err != nil {
			return err
		}
		id, err := library.ID(uint64(agent))
		if err == nil {
			copy(memory(unsafe.Pointer(idOut), abi.IdSize), id[:])
		}
		return err
	})
}

//export goMachineID
func goMachineID(agent C.uint64_t, idOut *C.uint8_t) C.int32_t {
	return run("machine id", nil, func() error {
		if err := given(idOut, "id_out"); err != nil {
			return err
		}
		id, err := library.MachineID(uint64(agent))
		if err == nil {
			copy(memory(unsafe.Pointer(idOut), abi.IdSize), id[:])
		}
		return err
	})
}

//export goOpCancel
func goOpCancel(op C.uint64_t) C.int32_t {
	return run("cancel", nil, func() error { return library.CancelOperation(uint64(op)) })
}

//export goCall
func goCall(h C.uint64_t, method C.uint32_t, args unsafe.Pointer, argsLen C.size_t, token C.uint64_t, opOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("call", e, func() error {
		clearHandle(opOut)
		if err := room(args, argsLen, "args"); err != nil {
			return err
		}
		return library.Call(uint64(h), uint32(method), memory(args, argsLen), uint64(token), (*uint64)(opOut))
	})
}

//export goCallNow
func goCallNow(h C.uint64_t, method C.uint32_t, args unsafe.Pointer, argsLen C.size_t, out unsafe.Pointer, capacity C.size_t, lenOut *C.size_t, e *C.x0x_err) C.int32_t {
	return run("call", e, func() error {
		err := firstOf(given(lenOut, "len_out"), room(args, argsLen, "args"), room(out, capacity, "out"))
		if err != nil {
			return err
		}
		*lenOut = 0
		result, err := library.CallNow(uint64(h), uint32(method), memory(args, argsLen), int(capacity))
		if err != nil {
			return err
		}
		*lenOut = C.size_t(len(result))
		if C.size_t(len(result)) > capacity {
			return errTooSmall
		}
		copy(memory(out, capacity), result)
		return nil
	})
}

//export goPublish
func goPublish(agent C.uint64_t, topic unsafe.Pointer, topicLen C.size_t, payload unsafe.Pointer, payloadLen C.size_t, timeoutMs C.uint32_t, token C.uint64_t, opOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("publish", e, func() error {
		clearHandle(opOut)
		if err := firstOf(room(topic, topicLen, "topic"), room(payload, payloadLen, "payload")); err != nil {
			return err
		}
		timeout := bridge.Timeout(uint32(timeoutMs), publishTimeout)
		if timeoutMs == abi.NoWait {
			timeout = bridge.NoWait
		}
		return library.Publish(uint64(agent), memory(topic, topicLen), memory(payload, payloadLen),
			timeout, uint64(token), (*uint64)(opOut))
	})
}

//export goSubscribe
func goSubscribe(agent C.uint64_t, topic unsafe.Pointer, topicLen C.size_t, options *C.x0x_sub_options, subOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("subscribe", e, func() error {
		if err := firstOf(given(subOut, "sub_out"), room(topic, topicLen, "topic")); err != nil {
			return err
		}
		*subOut = 0
		if topicLen > abi.MaxTopicName {
			return invalid("the topic is over %d bytes", abi.MaxTopicName)
		}
		o, credit, err := subscribeOptions(options)
		if err != nil {
			return err
		}
		h, err := library.Subscribe(uint64(agent), string(memory(topic, topicLen)), o, credit)
		*subOut = C.uint64_t(h)
		return err
	})
}

//export goSend
func goSend(agent C.uint64_t, agentID unsafe.Pointer, payload unsafe.Pointer, payloadLen C.size_t, flags, timeoutMs C.uint32_t, token C.uint64_t, opOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("send", e, func() error {
		clearHandle(opOut)
		if agentID == nil {
			return invalid("agent_id is NULL")
		}
		if err := room(payload, payloadLen, "payload"); err != nil {
			return err
		}
		if flags&^(abi.SendUnordered|abi.SendFailOnDisconnect) != 0 {
			return invalid("unknown flags %#x", flags)
		}
		return library.Send(uint64(agent), *(*x0x.AgentID)(agentID), memory(payload, payloadLen),
			x0x.SendOptions{
				Timeout:          bridge.Timeout(uint32(timeoutMs), 0), // 0: the agent's default
				Unordered:        flags&abi.SendUnordered != 0,
				FailOnDisconnect: flags&abi.SendFailOnDisconnect != 0,
			}, uint64(token), (*uint64)(opOut))
	})
}

//export goInboxOpen
func goInboxOpen(agent C.uint64_t, credit C.uint32_t, inboxOut *C.uint64_t, e *C.x0x_err) C.int32_t {
	return run("open inbox", e, func() error {
		if err := given(inboxOut, "inbox_out"); err != nil {
			return err
		}
		*inboxOut = 0
		h, err := library.OpenInbox(uint64(agent), uint32(credit))
		*inboxOut = C.uint64_t(h)
		return err
	})
}

//export goCreditAdd
func goCreditAdd(h C.uint64_t, n C.uint32_t) C.int32_t {
	return run("add credit", nil, func() error { return library.AddCredit(uint64(h), uint32(n)) })
}

//export goLogToQueue
func goLogToQueue(queue C.uint64_t, level C.int32_t) C.int32_t {
	return run("log to queue", nil, func() error { return library.LogTo(uint64(queue), int32(level)) })
}
