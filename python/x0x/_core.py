"""One agent of the library and its queue: everything that asyncio and the synchronous façade
share. Nothing here waits.

An agent has a queue of its own. Whoever waits (an event loop on its descriptor, a thread in
x0x_queue_wait) calls pump(), which drains a batch and hands each record to what it concerns:
an Operation, a Feed, or the listeners of events.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

from . import _abi, _lib, _log, _msgpack
from ._drain import RECORD, Buffer
from ._errors import InvalidArgumentError, X0XError, error
from ._feed import Feed, InboxFeed, TopicFeed
from ._ids import AgentId, MachineId, UserId
from ._lib import scratch
from ._options import AgentOptions, count, milliseconds, payload_bytes, structs
from ._types import POLICIES, DropPolicy, LaggedEvent, Message, event_of

_SUCCESS = _msgpack.pack([_abi.X0X_OK, None])  # the commonest completion

# The library's defaults (x0x.h): how much a feed may hold here.
_SUBSCRIPTION_BYTES = 8 << 20
_INBOX_BYTES = 32 << 20


class Operation:
    """Something asked of the library, until its completion has come."""

    __slots__ = ("handle", "done", "waiter", "_meta", "_failed", "_builtin")

    def __init__(self, builtin: type[Exception] | None) -> None:
        self.handle = 0
        self.done = False
        self.waiter: asyncio.Future[None] | None = None
        self._meta = b""
        self._failed = False
        self._builtin = builtin

    def finish(self, meta: bytes, failed: bool) -> None:
        """The completion came. Harmless when repeated."""
        self._meta = meta
        self._failed = failed
        self.done = True
        waiter = self.waiter
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(None)

    def result(self) -> Any:
        """What it completed with; raises if it failed."""
        if self._meta == _SUCCESS:
            return None
        meta = _msgpack.unpack(self._meta)
        if self._failed:
            raise error(meta[0], meta[2], meta[1], self._builtin)
        return meta[1]


class Core:
    """The C side of one agent."""

    def __init__(self, options: AgentOptions) -> None:
        queue_options, agent_options = structs(options)
        _log.bridge()
        sweep()
        self.lib: Any = _lib.library()
        self.closing = False
        self.closed = False
        self.close_waiters: list[asyncio.Future[None]] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.operations: dict[int, Operation] = {}
        self.feeds: dict[int, Feed[Any]] = {}
        self.inbox: InboxFeed | None = None
        self.listeners: dict[str, list[Callable[[Any], Any]]] = {}
        self.events: deque[tuple[str, Any]] = deque()
        self._tokens = itertools.count(1)
        self._buffer = Buffer()
        self._chunk = b""
        self._at = 0
        self._inbox_bytes = options.get("inbox_bytes") or _INBOX_BYTES

        place = scratch
        place.check(
            self.lib.x0x_queue_new(ctypes.byref(queue_options), place.u64_ref, place.err_ref),
            OSError,
        )
        self.queue = place.u64.value
        try:
            fd = ctypes.c_int32()
            place.check(self.lib.x0x_queue_fd(self.queue, ctypes.byref(fd)), OSError)
            self.fd = fd.value
            status = self.lib.x0x_open(
                ctypes.byref(agent_options), self.queue, place.u64_ref, place.err_ref
            )
            if status < 0:
                reason = place.err.message.decode("utf-8", "replace")
                raise error(
                    status, f"Failed to build agent: {reason}", place.err.flags, OSError
                )
        except BaseException:
            self.lib.x0x_handle_close(self.queue)
            raise
        self.agent = place.u64.value
        ids = self.call_now(_abi.X0X_M_IDENTITY)
        self.agent_id = AgentId(ids[0])
        self.machine_id = MachineId(ids[1])
        self.user_id = UserId(ids[2]) if len(ids) > 2 and ids[2] else None

    # ------------------------------------------------------------------ asking

    def call_now(
        self,
        method: int,
        *args: Any,
        handle: int | None = None,
        builtin: type[Exception] | None = None,
    ) -> Any:
        """The result of an immediate method."""
        if self.closed:
            raise self.closed_error(builtin)
        packed = _msgpack.pack(args)
        place = scratch
        out, capacity = place.buffer_at, _abi.X0X_DRAIN_HINT
        keep: Any = None  # noqa: F841  owns a larger buffer while it is in use
        while True:
            status = self.lib.x0x_call_now(
                handle or self.agent,
                method,
                packed,
                len(packed),
                out,
                capacity,
                place.size_ref,
                place.err_ref,
            )
            if status != _abi.X0X_E_TOO_SMALL:
                break
            capacity = place.size.value
            keep = ctypes.create_string_buffer(capacity)
            out = ctypes.addressof(keep)
        place.check(status, builtin)
        data = ctypes.string_at(out, place.size.value)
        return _msgpack.unpack(data) if data else None

    def start(
        self, method: int, *args: Any, builtin: type[Exception] | None = None
    ) -> Operation:
        """Begin an asynchronous method."""
        packed = _msgpack.pack(args)
        return self._begin(
            builtin, self.lib.x0x_call, self.agent, method, packed, len(packed)
        )

    def publish(
        self, topic: str, payload: Any, timeout: float | None, wait: bool
    ) -> Operation:
        name, data = self.topic_name(topic), payload_bytes(payload)
        if not wait and timeout is not None:
            raise InvalidArgumentError("timeout is how long to wait: not with wait=False")
        return self._begin(
            RuntimeError,
            self.lib.x0x_publish,
            self.agent,
            name,
            len(name),
            data,
            len(data),
            milliseconds(timeout) if wait else _abi.X0X_NO_WAIT,
        )

    def send(self, to: AgentId, payload: Any, flags: int, timeout: float | None) -> Operation:
        data = payload_bytes(payload)
        return self._begin(
            None,
            self.lib.x0x_send,
            self.agent,
            to._raw,
            data,
            len(data),
            flags,
            milliseconds(timeout),
        )

    def _begin(
        self, builtin: type[Exception] | None, function: Callable[..., int], *args: Any
    ) -> Operation:
        if self.closed:
            raise self.closed_error(builtin)
        token = next(self._tokens)
        operation = Operation(builtin)
        # Before the call: another thread may drain the completion before it returns.
        self.operations[token] = operation
        place = scratch
        try:
            status = function(*args, token, place.u64_ref, place.err_ref)
            operation.handle = place.u64.value
            place.check(status, builtin)
        except X0XError:
            self.operations.pop(token, None)
            raise
        return operation

    def cancel(self, operation: Operation) -> None:
        """Ask an operation to stop; its completion tells whether it did."""
        if not operation.done and not self.closed:
            self.lib.x0x_op_cancel(operation.handle)

    def subscribe(
        self,
        topic: str,
        replay: bool,
        max_messages: int | None,
        max_bytes: int | None,
        policy: DropPolicy | str,
    ) -> TopicFeed:
        name = self.topic_name(topic)
        if self.closed:
            raise self.closed_error(RuntimeError)
        policy = DropPolicy(policy)
        options = _abi.x0x_sub_options(
            size=ctypes.sizeof(_abi.x0x_sub_options),
            flags=0 if replay else _abi.X0X_SUB_NO_REPLAY,
            max_messages=0 if max_messages is None else count("max_messages", max_messages),
            policy=POLICIES[policy],
            max_bytes=0 if max_bytes is None else count("max_bytes", max_bytes, 64),
            credit=_abi.X0X_CREDIT_NONE,
        )
        place = scratch
        place.check(
            self.lib.x0x_subscribe(
                self.agent,
                name,
                len(name),
                ctypes.byref(options),
                place.u64_ref,
                place.err_ref,
            ),
            RuntimeError,
        )
        feed = TopicFeed(
            self,
            place.u64.value,
            topic,
            max_bytes or _SUBSCRIPTION_BYTES,
            policy is DropPolicy.NEWEST,
        )
        self._register(feed)
        return feed

    def direct(self) -> InboxFeed:
        """The inbox, opened when it is first asked for: until then messages wait outside."""
        if self.inbox is None:
            if self.closed:
                raise self.closed_error()
            feed = InboxFeed(self, self.open_inbox_handle(), self._inbox_bytes)
            self.inbox = feed
            self._register(feed)
        return self.inbox

    def open_inbox_handle(self) -> int:
        place = scratch
        place.check(
            self.lib.x0x_inbox_open(
                self.agent, _abi.X0X_CREDIT_NONE, place.u64_ref, place.err_ref
            )
        )
        return place.u64.value

    def _register(self, feed: Feed[Any]) -> None:
        self.feeds[feed.handle] = feed
        if self.closed:  # meanwhile, on another thread
            feed.end(_abi.X0X_E_CLOSED)

    def close_handle(self, handle: int) -> None:
        """Close a subscription. Its last record is dropped as nobody's."""
        self.feeds.pop(handle, None)
        lib = _lib.loaded()
        if lib is not None and not self.closed:
            lib.x0x_handle_close(handle)

    @staticmethod
    def topic_name(topic: str) -> bytes:
        if not isinstance(topic, str):
            raise TypeError(f"topic must be str, not {type(topic).__name__}")
        try:
            return topic.encode()
        except UnicodeEncodeError as e:
            raise error(
                _abi.X0X_E_INVALID_ARGUMENT, f"topic is not valid Unicode: {e.reason}"
            ) from None

    def closed_error(self, builtin: type[Exception] | None = None) -> X0XError:
        return error(_abi.X0X_E_CLOSED, "the agent is closed", 0, builtin)

    # ----------------------------------------------------------------- telling

    def pump(self) -> bool:
        """Drain one batch and deal with it; whether more remains.

        Safe against an exception between two bytecodes (KeyboardInterrupt on the main
        thread): a record counts as dealt with by the last step of dealing with it, and the
        next pump goes on from there.
        """
        more = True
        if self._at >= len(self._chunk):
            more = self._drain()
        self._dispatch()
        return more

    def _drain(self) -> bool:
        """Move a batch into _chunk."""
        buffer = self._buffer
        more = buffer.drain(self.lib, self.queue)
        chunk = buffer.batch()
        # Plain assignments: no signal handler runs between them.
        self._at = 0
        self._chunk = chunk
        buffer.records.value = 0
        return more

    def _dispatch(self) -> None:
        chunk, at = self._chunk, self._at
        end = len(chunk)
        unpack = RECORD.unpack_from
        while at < end:
            size, kind, flags, id, seq, ms, meta_len, payload_len = unpack(chunk, at)
            if kind == _abi.X0X_R_DIRECT or kind == _abi.X0X_R_MESSAGE:
                at = self._messages(kind, id)
                continue
            meta = at + 40
            payload = meta + meta_len
            self._record(
                kind,
                flags,
                id,
                seq,
                ms,
                chunk[meta:payload],
                chunk[payload : payload + payload_len],
            )
            at += max(size, RECORD.size)
            self._at = at
        self._chunk, self._at = b"", 0

    def _messages(self, kind: int, id: int) -> int:
        """Deal with the messages of one feed that follow each other; where they end."""
        chunk, at = self._chunk, self._at
        end = len(chunk)
        unpack = RECORD.unpack_from
        feed = self.feeds.get(id)
        make = Message if feed is None else feed.make
        items: list[Any] = []
        append = items.append
        total = biggest = 0
        while at < end:
            size, next_kind, _, next_id, seq, ms, meta_len, payload_len = unpack(chunk, at)
            if next_id != id or next_kind != kind:
                break
            meta = at + 40
            payload = meta + meta_len
            append(make(chunk[payload : payload + payload_len], chunk[meta:payload], seq, ms))
            total += payload_len
            if payload_len > biggest:
                biggest = payload_len
            at += size
        if feed is None:
            self._at = at
            return at
        if feed.lag:
            items[0]._lagged = feed.lag
        # From here to extend() no signal handler runs: all of it happens, or nothing.
        feed.lag = 0
        feed.received += len(items)
        feed.bytes += total
        self._at = at
        feed.items.extend(items)
        if biggest > feed.big:
            feed.shrink(biggest)
        if feed.bytes > feed.max_bytes:
            feed.overflow()
        feed.wake(len(items))
        return at

    def _record(
        self, kind: int, flags: int, id: int, seq: int, ms: int, meta: bytes, payload: bytes
    ) -> None:
        """Deal with a record that is not a message."""
        if kind == _abi.X0X_R_COMPLETION:
            operation = self.operations.get(id)
            if operation is not None:
                operation.finish(meta, bool(flags & _abi.X0X_RF_ERROR))
                self.operations.pop(id, None)
        elif kind == _abi.X0X_R_CLOSED:
            if id == self.agent:
                self._finish(_msgpack.unpack(meta)[0])
                return
            feed = self.feeds.pop(id, None)
            if feed is not None and not (isinstance(feed, InboxFeed) and feed.suspended):
                feed.end(_msgpack.unpack(meta)[0])
        elif kind == _abi.X0X_R_EVENT_MESSAGE:
            if self.listeners.get("message"):
                self.events.append(("message", Message(payload, meta, seq, ms)))
        elif kind == _abi.X0X_R_LAGGED and id in self.feeds:
            dropped, first, last = _msgpack.unpack(meta)[:3]
            feed = self.feeds[id]
            feed.lag += dropped
            feed.lagged += dropped
            if self.listeners.get("lagged"):
                lagged = LaggedEvent(ms, dropped, first, last, feed.topic)
                self.events.append(("lagged", lagged))
        else:
            event = event_of(kind, _msgpack.unpack(meta), ms) if meta else None
            if event is not None and self.listeners.get(event.type):
                self.events.append((event.type, event))

    # --------------------------------------------------------------- listeners

    def on(self, event: str, callback: Callable[[Any], Any]) -> None:
        if not isinstance(event, str):
            raise TypeError(f"event must be str, not {type(event).__name__}")
        if not callable(callback):
            raise TypeError("callback must be callable")
        self.listeners.setdefault(event, []).append(callback)
        self._mask(event)

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        listeners = self.listeners.get(event, [])
        for i, listener in enumerate(listeners):
            # Bound methods are made anew by every access: equal, not identical.
            if listener is callback or listener == callback:
                del listeners[i]
                break
        self._mask(event)

    def _mask(self, event: str) -> None:
        """Copies of topic messages cost something: asked for only while somebody listens."""
        if event == "message" and not self.closed:
            mask = _abi.X0X_EVENTS_LIFECYCLE
            if self.listeners.get("message"):
                mask |= _abi.X0X_EVENTS_MESSAGE
            self.call_now(_abi.X0X_M_SET_EVENTS, mask)

    def run_events(self, spawn: Callable[[Any], None] | None = None) -> None:
        """Call the listeners of what has happened. Their exceptions are printed."""
        while True:
            try:
                name, event = self.events.popleft()
            except IndexError:
                return
            for listener in list(self.listeners.get(name, ())):
                try:
                    result = listener(event)
                    if spawn is not None and asyncio.iscoroutine(result):
                        spawn(result)
                except Exception:
                    print(f"x0x: a listener of {name!r} failed:", file=sys.stderr)
                    traceback.print_exc()

    # ----------------------------------------------------------------- closing

    def begin_close(self, grace: float | None = None) -> None:
        """Begin to close; the record that ends it finds _finish()."""
        if self.closing or self.closed:
            return
        self.closing = True
        status = self.lib.x0x_close(self.agent, milliseconds(grace, "grace"))
        if status < 0 and status != _abi.X0X_E_CLOSED:
            self.closing = False
            raise error(status, builtin=OSError)

    def _finish(self, status: int) -> None:
        """The agent is gone and its last record was read: let go of everything."""
        if self.closed:
            return
        self.detach()
        self.lib.x0x_handle_close(self.queue)
        # Every operation has completed and every feed has ended by then; an end that was
        # forgotten would make somebody wait for ever.
        for operation in list(self.operations.values()):
            operation.finish(_msgpack.pack([_abi.X0X_E_CLOSED, 0, "the agent is closed"]), True)
        self.operations.clear()
        for feed in list(self.feeds.values()):
            feed.end(status or _abi.X0X_E_CLOSED)
        self.feeds.clear()
        if self.inbox is not None:
            self.inbox.end(status or _abi.X0X_E_CLOSED)
        self.closed = True  # not before: an interrupted _finish() is repeated
        waiters, self.close_waiters = self.close_waiters, []
        for waiter in waiters:
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)

    def forget_waiters(self) -> None:
        """Whoever waited did so in an event loop that is closed."""
        for operation in self.operations.values():
            operation.waiter = None
        for feed in self.feeds.values():
            feed.waiters.clear()
        self.close_waiters.clear()

    def detach(self) -> None:
        """Stop watching the queue from its event loop."""
        loop, self.loop = self.loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self.fd)


# Agents that were not closed by anybody: (the core, whether its event loop still runs it).
_abandoned: list[Core] = []
_abandoned_lock = threading.Lock()


def abandon(core: Core, label: str) -> None:
    """The finaliser of an agent: called when nobody holds it any more, on any thread."""
    if core.closed or _lib.loaded() is None:
        return
    forgotten, core.closing = not core.closing, True
    if forgotten:
        core.lib.x0x_close(core.agent, 0)
    # Its event loop, if that still runs, reads the last record and lets go of the queue.
    # Otherwise the queue is closed by a later sweep, or at exit.
    with _abandoned_lock:
        _abandoned.append(core)
    if forgotten:
        warnings.warn(f"unclosed {label}", ResourceWarning, stacklevel=2)


def sweep() -> None:
    """Close the queues of abandoned agents that are gone by now."""
    lib = _lib.loaded()
    if lib is None or not _abandoned:
        return
    with _abandoned_lock:
        for core in list(_abandoned):
            if not core.closed:
                if core.loop is not None and not core.loop.is_closed():
                    continue
                if lib.x0x_handle_close(core.queue) == _abi.X0X_E_BUSY:
                    continue
                core.closed = True
            _abandoned.remove(core)


def live_handles(kind: int = _abi.X0X_KIND_ANY) -> int:
    """How many handles of the library are open in this process: 0 means that nothing leaks."""
    sweep()
    lib = _lib.loaded()
    if lib is None:
        return 0
    # The queue that the log comes through lives as long as the process.
    ours = _log.bridged() if kind in (_abi.X0X_KIND_ANY, _abi.X0X_KIND_QUEUE) else 0
    return int(lib.x0x_live_handles(kind)) - ours

