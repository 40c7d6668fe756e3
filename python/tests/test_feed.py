"""Feeds and the dispatch of records, against a library that only counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import x0x
from x0x import _abi, _core, _feed, _msgpack
from x0x._drain import RECORD

META = {
    _abi.X0X_R_MESSAGE: _msgpack.pack([bytes(32), 1, 1, "t"]),
    _abi.X0X_R_DIRECT: _msgpack.pack([bytes(32), bytes(32), 1]),
    _abi.X0X_R_LAGGED: _msgpack.pack([3, 1, 3]),
}


def record(kind: int, id: int, payload: bytes = b"", seq: int = 0, meta: bytes = b"") -> bytes:
    meta = meta or META.get(kind, b"")
    size = (40 + len(meta) + len(payload) + 7) & ~7
    header = RECORD.pack(size, kind, 0, id, seq, 0, len(meta), len(payload))
    return (header + meta + payload).ljust(size, b"\0")


class Library:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.credit: dict[int, int] = {}
        self.closed: list[int] = []

    def x0x_credit_add(self, handle: int, n: int) -> int:
        self.credit[handle] = self.credit.get(handle, 0) + n
        return 0

    def x0x_handle_close(self, handle: int) -> int:
        self.closed.append(handle)
        return 0


class Core(_core.Core):
    """A core whose records come from the test."""

    def __init__(self) -> None:
        self.lib = Library()
        self.agent, self.closed = 99, False
        self.feeds, self.operations, self.listeners = {}, {}, {}
        self.next_inbox = 8
        self._chunk, self._at = b"", 0

    def give(self, *records: bytes) -> None:
        self._chunk, self._at = b"".join(records), 0
        self._dispatch()

    def open_inbox_handle(self) -> int:
        self.next_inbox += 1
        return self.next_inbox

    def close_handle(self, handle: int) -> None:
        self.feeds.pop(handle, None)
        self.lib.x0x_handle_close(handle)


def topic_feed(core: Core, max_bytes: int = 1 << 20, newest: bool = False) -> _feed.TopicFeed:
    feed = _feed.TopicFeed(core, 7, "t", max_bytes, newest)
    core.feeds[7] = feed
    return feed


def test_the_window_doubles_while_it_is_used_up() -> None:
    core = Core()
    feed = topic_feed(core)
    windows = []
    for _ in range(13):
        feed.refill()
        windows.append(feed.window)
        core.give(*(record(_abi.X0X_R_MESSAGE, 7) for _ in range(feed.window)))
        assert len(feed.take_many()) == feed.window
    assert windows == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]
    assert core.lib.credit[7] == sum(windows)


def test_credit_that_is_left_is_not_given_twice() -> None:
    core = Core()
    feed = topic_feed(core)
    feed.set_window(4)
    feed.refill()
    assert core.lib.credit[7] == 8
    core.give(record(_abi.X0X_R_MESSAGE, 7))
    feed.take_many()
    feed.refill()
    assert core.lib.credit[7] == 8


def test_large_messages_make_the_window_small() -> None:
    core = Core()
    feed = topic_feed(core, max_bytes=64 << 20)
    feed.set_window(512)
    core.give(record(_abi.X0X_R_MESSAGE, 7, bytes(1 << 20)))
    assert feed.window == 4
    core.give(record(_abi.X0X_R_MESSAGE, 7, bytes(5 << 20)))
    assert feed.window == 1
    core.give(record(_abi.X0X_R_MESSAGE, 7, b"small"))
    assert feed.window == 1


def test_a_gap_is_told_with_the_message_behind_it() -> None:
    core = Core()
    feed = topic_feed(core)
    core.give(
        record(_abi.X0X_R_MESSAGE, 7, b"a"),
        record(_abi.X0X_R_LAGGED, 7),
        record(_abi.X0X_R_LAGGED, 7),
        record(_abi.X0X_R_MESSAGE, 7, b"b"),
        record(_abi.X0X_R_MESSAGE, 7, b"c"),
    )
    assert [(m.payload, m.lagged) for m in feed.take_many()] == [(b"a", 0), (b"b", 6), (b"c", 0)]
    assert feed.lagged == 6


@pytest.mark.parametrize("newest", [False, True])
def test_over_its_bytes_a_subscription_drops_by_its_policy(newest: bool) -> None:
    core = Core()
    feed = topic_feed(core, max_bytes=1000, newest=newest)
    core.give(*(record(_abi.X0X_R_MESSAGE, 7, b"%d" % i * 100) for i in range(10)))
    assert len(feed.items) == 10
    core.give(record(_abi.X0X_R_MESSAGE, 7, b"x" * 500), record(_abi.X0X_R_MESSAGE, 7, b"y"))
    got = [(m.payload[:1], m.lagged) for m in feed.take_many()]
    if newest:
        assert got == [(b"%d" % i, 0) for i in range(10)]
        assert (feed.lag, feed.lagged) == (2, 2), "to be told with the next message"
    else:
        assert got == [(b"6", 6), (b"7", 0), (b"8", 0), (b"9", 0), (b"x", 0), (b"y", 0)]
        assert feed.lagged == 6


def test_one_message_may_be_larger_than_everything() -> None:
    core = Core()
    feed = topic_feed(core, max_bytes=10)
    core.give(record(_abi.X0X_R_MESSAGE, 7, bytes(100)))
    assert len(feed.items) == 1 and feed.lagged == 0


def test_over_its_bytes_an_inbox_takes_its_credit_back() -> None:
    core = Core()
    feed = _feed.InboxFeed(core, 8, 1000)
    core.feeds[8] = feed
    feed.refill()
    core.give(*(record(_abi.X0X_R_DIRECT, 8, bytes(600)) for _ in range(3)))
    assert core.lib.closed == [8] and feed.suspended
    closed = record(_abi.X0X_R_CLOSED, 8, meta=_msgpack.pack([0]))
    core.give(record(_abi.X0X_R_DIRECT, 8, b"was on its way"), closed)
    assert feed.ended is None
    assert len(feed.take_many()) == 4, "nothing is lost"
    feed.refill()
    assert (feed.handle, feed.window, core.lib.credit[9]) == (9, 1, 1)
    core.give(record(_abi.X0X_R_DIRECT, 9, b"again"))
    assert feed.take_many()[0].payload == b"again"


def test_records_of_nobody_and_of_the_future_are_skipped() -> None:
    core = Core()
    feed = topic_feed(core)
    core.give(
        record(_abi.X0X_R_MESSAGE, 12345, b"not mine"),
        record(777, 1, b"a kind of a newer library", meta=b"\x90"),
        record(778, 1, b"and one without meta"),
        record(_abi.X0X_R_COMPLETION, 4711, meta=_msgpack.pack([0, None])),
        record(_abi.X0X_R_LAGGED, 12345),
        record(_abi.X0X_R_MESSAGE, 7, b"mine"),
    )
    assert [m.payload for m in feed.take_many()] == [b"mine"]


def test_the_end_of_a_feed() -> None:
    core = Core()
    feed = topic_feed(core)
    core.give(
        record(_abi.X0X_R_MESSAGE, 7, b"last"),
        record(_abi.X0X_R_CLOSED, 7, meta=_msgpack.pack([_abi.X0X_E_POISONED])),
    )
    assert feed.ended == _abi.X0X_E_POISONED and not feed.over()
    assert len(feed.take_many()) == 1 and feed.over()
    assert isinstance(feed.failure(), x0x.PoisonedError)
    other = topic_feed(core)
    other.close()
    other.close()
    assert core.lib.closed == [7]
    assert isinstance(other.failure(), x0x.ClosedError)


def test_a_failed_completion_carries_everything() -> None:
    core = Core()
    operation = _core.Operation(RuntimeError)
    core.operations[5] = operation
    meta = _msgpack.pack([_abi.X0X_E_TIMEOUT, 9, "too late", None])
    size = (40 + len(meta) + 7) & ~7
    raw = RECORD.pack(size, _abi.X0X_R_COMPLETION, _abi.X0X_RF_ERROR, 5, 0, 0, len(meta), 0)
    core.give((raw + meta).ljust(size, b"\0"))
    assert operation.done and not core.operations
    with pytest.raises(x0x.TimeoutError, match="too late") as e:
        operation.result()
    assert isinstance(e.value, RuntimeError)
    assert (e.value.retryable, e.value.delivered) == (True, "unknown")


def test_a_waiter_of_a_closed_loop_is_skipped() -> None:
    core = Core()
    operation = _core.Operation(None)

    async def wait() -> None:
        operation.waiter = asyncio.get_running_loop().create_future()

    asyncio.run(wait())
    operation.finish(_msgpack.pack([0, "result"]), False)
    assert operation.result() == "result"
    assert core.operations == {}


def test_events_of_records() -> None:
    core = Core()
    got: list[Any] = []
    core.events = __import__("collections").deque()
    for name in ("disconnected", "error", "session_reset", "fatal", "lagged"):
        core.listeners[name] = [got.append]
    id = bytes(32)
    core.give(
        record(_abi.X0X_R_DISCONNECTED, 99, meta=_msgpack.pack([id, id, -303, "gone"])),
        record(_abi.X0X_R_ERROR, 99, meta=_msgpack.pack([-401, "forged"])),
        record(_abi.X0X_R_ERROR, 99, meta=_msgpack.pack([-401, "forged", id])),
        record(_abi.X0X_R_SESSION_RESET, 99, meta=_msgpack.pack([id])),
        record(_abi.X0X_R_FATAL, 99, meta=_msgpack.pack([-901, "defect"])),
        record(_abi.X0X_R_LAGGED, 99),
        record(_abi.X0X_R_CONNECTED, 99, meta=_msgpack.pack([id, id, "addr", "direct"])),
    )
    core.run_events()
    assert [e.type for e in got] == [
        "disconnected", "error", "error", "session_reset", "fatal", "lagged",
    ]  # fmt: skip
    assert (got[0].code, got[0].message) == ("X0X_E_DISCONNECTED", "gone")
    assert got[1].agent_id is None and got[2].agent_id == x0x.AgentId(id)
    assert got[5].topic is None and got[5].count == 3
