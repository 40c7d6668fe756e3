"""The synchronous façade: the same names without await, for programs without asyncio.

    from x0x.sync import Agent

    with Agent() as agent:
        agent.join_network()
        for message in agent.subscribe("news"):
            print(message.payload)

There is no hidden thread: a call that waits does so in the library, on the caller's thread,
in slices of at most 100 ms, so that Ctrl-C is noticed. Several threads may use one agent at
once: one of those that wait drains the queue, for all. Callbacks of on() run on the thread of
a call that waits, or of poll().
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _abi, _lib
from ._base import (
    BaseAgent,
    BaseSubscription,
    connect_result,
    found_by,
    limit_of,
    receipt,
    send_flags,
    walk,
)
from ._builder import Builder
from ._core import Operation
from ._errors import TimeoutError
from ._feed import Feed, InboxFeed, M
from ._ids import AgentId, MachineId
from ._options import AgentOptions, from_env, milliseconds
from ._types import (
    ConnectResult,
    DirectMessage,
    DropPolicy,
    Message,
    PeerIdentity,
    PresenceEntry,
    Receipt,
    presence_of,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Agent", "AgentBuilder", "Subscription"]

_SLICE = 0.1
_CANCEL_WAIT = 0.05
_CLOSE_MARGIN = 3.0


class Agent(BaseAgent):
    """An agent on the network, for threads. See x0x.Agent: everything has the same meaning."""

    def __init__(self, **options: Unpack[AgentOptions]) -> None:
        super().__init__(options)
        # Guards the feeds and _pumper, and tells those who wait what the pumper found.
        self._changed = threading.Condition()
        self._pumper: int | None = None

    @classmethod
    def builder(cls) -> AgentBuilder:
        return AgentBuilder()

    @classmethod
    def from_env(cls, **options: Unpack[AgentOptions]) -> Agent:
        """An agent whose folders come from X0X_HOME and X0X_RUNTIME_DIR where those are set."""
        return cls(**from_env(options))

    # -- the network

    def join_network(self, timeout: float | None = None) -> None:
        self._call(_abi.X0X_M_JOIN, milliseconds(timeout), builtin=OSError)

    def leave_network(self, timeout: float | None = None) -> None:
        self._call(_abi.X0X_M_LEAVE, milliseconds(timeout), builtin=OSError)

    def connect_to_agent(
        self, agent: AgentId | str | bytes, timeout: float | None = None
    ) -> ConnectResult:
        to = AgentId.of(agent)._raw
        return connect_result(self._call(_abi.X0X_M_CONNECT_AGENT, to, milliseconds(timeout)))

    def connect_to_machine(
        self, machine: MachineId | str | bytes, timeout: float | None = None
    ) -> ConnectResult:
        to = MachineId.of(machine)._raw
        return connect_result(self._call(_abi.X0X_M_CONNECT_MACHINE, to, milliseconds(timeout)))

    def connect_to_address(self, address: str, timeout: float | None = None) -> PeerIdentity:
        if not isinstance(address, str):
            raise TypeError(f"address must be str, not {type(address).__name__}")
        result = self._call(_abi.X0X_M_CONNECT_ADDRESS, address, milliseconds(timeout))
        return PeerIdentity(AgentId(result[0]), MachineId(result[1]))

    # -- who is online

    def presence_foaf(self, ttl: int = 2, timeout: float = 5.0) -> list[PresenceEntry]:
        """Ask friends of friends who is online within `ttl` hops, 1 to 5.

        Returns when all have answered, or after `timeout` seconds (at most 60) with what has
        come. Raises UnreachableError before joining, and BusyError if 16 are under way."""
        rows = self._call(_abi.X0X_M_PRESENCE_FOAF, *walk(ttl, timeout))
        return [presence_of(row) for row in rows]

    def find_presence(
        self, agent: AgentId | str | bytes, ttl: int = 2, timeout: float = 5.0
    ) -> PresenceEntry | None:
        """Look for one agent as presence_foaf() does; None if nobody knew of it."""
        wanted = AgentId.of(agent)
        return found_by(self._call(_abi.X0X_M_PRESENCE_FOAF, *walk(ttl, timeout)), wanted)

    # -- topics

    def publish(
        self,
        topic: str,
        payload: bytes | bytearray | memoryview,
        timeout: float | None = None,
        *,
        wait: bool = True,
    ) -> None:
        self._complete(self._core.publish(topic, payload, timeout, wait))

    def subscribe(
        self,
        topic: str,
        *,
        replay: bool = True,
        max_messages: int | None = None,
        max_bytes: int | None = None,
        policy: DropPolicy | str = DropPolicy.OLDEST,
    ) -> Subscription:
        """Read a topic:  for message in agent.subscribe("news")."""
        feed = self._core.subscribe(topic, replay, max_messages, max_bytes, policy)
        return Subscription(self, feed)

    # -- direct messages

    def send_direct(
        self,
        to: AgentId | str | bytes,
        payload: bytes | bytearray | memoryview,
        *,
        timeout: float | None = None,
        ordered: bool = True,
        on_disconnect: str = "wait",
    ) -> Receipt:
        flags = send_flags(ordered, on_disconnect)
        operation = self._core.send(AgentId.of(to), payload, flags, timeout)
        return receipt(self._complete(operation))

    def recv_direct(self, timeout: float | None = None) -> DirectMessage:
        return self._take(self._inbox(), 1, timeout)[0]

    def recv_direct_many(
        self, max: int | None = None, timeout: float | None = None
    ) -> list[DirectMessage]:
        """At least one direct message, and what is there besides, up to max."""
        return self._take(self._inbox(), limit_of(max), timeout)

    def direct_messages(self) -> Iterator[DirectMessage]:
        """for message in agent.direct_messages(): ends when the agent closes."""
        return self._iterate(self._inbox())

    @property
    def direct_pending(self) -> int:
        """Direct messages that wait to be received."""
        feed = self._inbox()
        if feed.ended is not None or feed.suspended:
            return len(feed.items)
        info = self._core.call_now(_abi.X0X_M_INBOX_INFO, handle=feed.handle)
        return len(feed.items) + int(info[0])

    # -- events and the end

    def poll(self, timeout: float = 0.0) -> None:
        """Deal with what has arrived within `timeout` seconds: calls the callbacks of on()."""
        self._wait(lambda: False, time.monotonic() + timeout)

    def close(self, grace: float | None = None) -> None:
        """Leave the network and free everything. Repeating it does no harm."""
        core = self._core
        if core.closed or _lib.forked():
            return
        core.begin_close(grace)
        bound = _CLOSE_MARGIN + (2.0 if grace is None else grace)
        if not self._wait(lambda: core.closed, time.monotonic() + bound):
            raise TimeoutError("the agent is still closing")
        self._finalizer.detach()

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- waiting

    def _call(self, method: int, *args: Any, builtin: type[Exception] | None = None) -> Any:
        return self._complete(self._core.start(method, *args, builtin=builtin))

    def _complete(self, operation: Operation) -> Any:
        """The result of an operation. Interrupted, it leaves nothing behind."""
        try:
            self._wait(lambda: operation.done, None)
        except BaseException:
            if not operation.done:
                self._core.cancel(operation)
                self._wait(lambda: operation.done, time.monotonic() + _CANCEL_WAIT)
            raise
        return operation.result()

    def _inbox(self) -> InboxFeed:
        with self._changed:
            return self._core.direct()

    def _take(self, feed: Feed[M], limit: int | None, timeout: float | None) -> list[M]:
        with self._changed:
            if feed.items:
                return feed.take_many(limit)
        deadline = None
        if timeout is not None:
            deadline = time.monotonic() + milliseconds(timeout) / 1000
        taken: list[M] = []

        def ready() -> bool:  # under the lock: nobody else takes what is seen here
            if feed.items:
                taken.extend(feed.take_many(limit))
                return True
            if feed.ended is not None:
                raise feed.failure()
            feed.refill()
            return False

        if not self._wait(ready, deadline):
            raise TimeoutError(f"nothing was received within {timeout} s")
        return taken

    def _iterate(self, feed: Feed[M]) -> Iterator[M]:
        while True:
            try:
                message = self._take(feed, 1, None)[0]
            except Exception:
                if feed.ended in (_abi.X0X_OK, _abi.X0X_E_CLOSED):
                    return
                raise
            yield message

    def _wait(self, ready: Callable[[], bool], deadline: float | None) -> bool:
        """Returns True when ready() does, which is called under the lock, False at the deadline.

        One of the threads that wait here, the pumper, waits in the library; the others wait
        for it. Each looks up every 100 ms, for signals and its own deadline."""
        core, me = self._core, threading.get_ident()
        try:
            while True:
                wait = _SLICE
                if deadline is not None:
                    wait = min(wait, max(0.0, deadline - time.monotonic()))
                with self._changed:
                    if ready():
                        return True
                    if self._pumper is None and not core.closed:
                        self._pumper = me
                    else:
                        self._changed.wait(wait)
                if self._pumper == me:
                    core.lib.x0x_queue_wait(core.queue, int(wait * 1000 + 0.999))
                    with self._changed:
                        core.pump()
                        self._pumper = None
                        self._changed.notify_all()
                    core.run_events()
                if deadline is not None and time.monotonic() >= deadline:
                    with self._changed:
                        return ready()
        finally:
            if self._pumper == me:  # interrupted: let another thread take over
                with self._changed:
                    self._pumper = None
                    self._changed.notify_all()


class Subscription(BaseSubscription[Agent], Iterator[Message]):
    """A topic as one reader sees it. Iteration ends when it or its agent closes."""

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Message:
        feed = self._feed
        try:
            return self._agent._take(feed, 1, None)[0]
        except Exception:
            if feed.ended in (_abi.X0X_OK, _abi.X0X_E_CLOSED):
                raise StopIteration from None
            raise

    def recv(self, timeout: float | None = None) -> Message:
        """The next message. Raises ClosedError after the end, TimeoutError."""
        return self._agent._take(self._feed, 1, timeout)[0]

    def recv_many(self, max: int | None = None, timeout: float | None = None) -> list[Message]:
        """At least one message, and what is there besides, up to max."""
        return self._agent._take(self._feed, limit_of(max), timeout)

    def drain(self) -> list[Message]:
        """What is there now, possibly nothing. Does not wait."""
        agent = self._agent
        with agent._changed:
            feed = self._feed
            if not feed.items and feed.ended is None:
                feed.refill()
                feed.core.pump()
                agent._changed.notify_all()
            return feed.take_many()

    def close(self) -> None:
        """Stop reading. Repeating it does no harm."""
        with self._agent._changed:
            self._finalizer()
            self._agent._changed.notify_all()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AgentBuilder(Builder):
    """Makes a synchronous Agent step by step."""

    def build(self) -> Agent:
        """Raises OSError "Failed to build agent: ..."."""
        return Agent(**self._finish())
