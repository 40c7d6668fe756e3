"""A reader's side of one subscription or inbox: a small local buffer that is filled on demand.

Messages stay in the library's bounded queue, where the policy of the subscription or the
window of the inbox looks after them, until the reader wants some. Then the feed allows the
library a window of messages (credit). The window starts at one and doubles each time the
reader has used it up, so that a lively reader gets them by the thousand and an idle one holds
next to nothing here.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from . import _abi
from ._errors import ClosedError, X0XError, error
from ._types import DirectMessage, Message

if TYPE_CHECKING:
    from ._core import Core

M = TypeVar("M", Message, DirectMessage)

MAX_WINDOW = 1_024  # messages; what one drain of the queue holds if they are small
WINDOW_BYTES = 4 << 20  # what a window may come to, judged by the last message


class Feed(Generic[M]):
    """Used by one thread at a time; its owner sees to that."""

    __slots__ = (
        "core",
        "handle",
        "make",
        "topic",
        "items",
        "waiters",
        "ended",
        "granted",
        "received",
        "window",
        "big",
        "bytes",
        "max_bytes",
        "lag",
        "lagged",
        "__weakref__",
    )

    def __init__(
        self, core: Core, handle: int, make: type[M], topic: str | None, max_bytes: int
    ) -> None:
        self.core = core
        self.handle = handle
        self.make: type[M] = make
        self.topic = topic
        self.items: deque[M] = deque()
        self.waiters: deque[Future[bool]] = deque()
        self.ended: int | None = None  # the status it ended with, X0X_OK if closed by the user
        self.granted = 0  # messages that the library was allowed to hand over, ever
        self.received = 0  # and has handed over
        self.window = 0
        self.big = WINDOW_BYTES  # a message larger than this makes the window smaller
        self.bytes = 0  # of payload in items, counted since they were last empty
        self.max_bytes = max_bytes
        self.lag = 0  # messages dropped since the last one that is in items
        self.lagged = 0  # messages dropped, ever

    def refill(self) -> None:
        """The buffer is empty and somebody wants a message: allow the library some."""
        self.bytes = 0
        outstanding = self.granted - self.received
        if outstanding > 0 or self.ended is not None:
            return
        self.set_window(min(max(1, self.window * 2), MAX_WINDOW))
        self.granted += self.window
        # A feed that ended meanwhile says so in its last record.
        self.core.lib.x0x_credit_add(self.handle, self.window)

    def set_window(self, window: int) -> None:
        self.window = window
        self.big = max(1, WINDOW_BYTES // window)

    def shrink(self, size: int) -> None:
        """A message of `size` bytes came: a window of its like should fit WINDOW_BYTES."""
        self.set_window(max(1, WINDOW_BYTES // size))

    def wake(self, count: int = 1) -> None:
        """Tell `count` waiting readers."""
        waiters = self.waiters
        while waiters and count > 0:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                count -= 1

    def end(self, status: int) -> None:
        if self.ended is None:
            self.ended = status
        self.wake(len(self.waiters))

    def take_many(self, limit: int | None = None) -> list[M]:
        items = self.items
        if limit is None or limit >= len(items):
            taken = list(items)
            items.clear()
        else:
            taken = [items.popleft() for _ in range(limit)]
        return taken

    def over(self) -> bool:
        """Whether no message will come any more."""
        return self.ended is not None and not self.items

    def failure(self) -> X0XError:
        """Why: ClosedError, or the defect that ended it."""
        status = self.ended
        if status is None or status in (_abi.X0X_OK, _abi.X0X_E_CLOSED):
            what = "the inbox" if self.topic is None else f"the subscription to {self.topic!r}"
            return ClosedError(f"{what} is closed")
        return error(status)

    def overflow(self) -> None:
        """More bytes came than max_bytes: the credit was given when messages were small."""
        self.bytes = sum(len(item.payload) for item in self.items)
        if self.bytes > self.max_bytes and len(self.items) > 1:
            self.shed()

    def shed(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Stop for good; what is buffered is forgotten. Harmless when repeated."""
        self.items.clear()
        if self.ended is None:
            self.end(_abi.X0X_OK)
            self.core.close_handle(self.handle)


class TopicFeed(Feed[Message]):
    """A subscription: over its limit it drops by its policy, as the library would have."""

    __slots__ = ("drop_newest",)

    def __init__(
        self, core: Core, handle: int, topic: str, max_bytes: int, drop_newest: bool
    ) -> None:
        super().__init__(core, handle, Message, topic, max_bytes)
        self.drop_newest = drop_newest

    def shed(self) -> None:
        items = self.items
        while self.bytes > self.max_bytes and len(items) > 1:
            dropped = items.pop() if self.drop_newest else items.popleft()
            self.bytes -= len(dropped.payload)
            lost = 1 + dropped.lagged
            self.lagged += 1
            if self.drop_newest:
                self.lag += lost
            else:
                items[0]._lagged = items[0].lagged + lost


class InboxFeed(Feed[DirectMessage]):
    """The inbox: over its limit it closes the library's inbox, which takes back the credit
    and, when that is full too, closes the window of the senders. Nothing is lost."""

    __slots__ = ("suspended",)

    def __init__(self, core: Core, handle: int, max_bytes: int) -> None:
        super().__init__(core, handle, DirectMessage, None, max_bytes)
        self.suspended = False

    def shed(self) -> None:
        if not self.suspended:
            self.suspended = True
            self.core.lib.x0x_handle_close(self.handle)

    def refill(self) -> None:
        if self.suspended and self.ended is None:
            handle = self.core.open_inbox_handle()
            self.core.feeds.pop(self.handle, None)
            self.handle, self.suspended = handle, False
            self.core.feeds[handle] = self
            self.granted = self.received = 0
            self.window = 0
        super().refill()
