"""The asyncio agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator
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
from ._feed import Feed, M
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

# How long a cancelled call waits for the library to confirm, so that no late result is left.
_CANCEL_WAIT = 0.05
# How much longer than its grace a close may take before close() gives up waiting for it.
_CLOSE_MARGIN = 3.0


class Agent(BaseAgent):
    """An agent on the network, for asyncio.

        async with Agent() as agent:
            await agent.join_network()
            await agent.publish("news", b"hello")

    It belongs to the event loop in which it is first awaited, and is used on that loop's
    thread. Making one reads or creates keys and opens no socket. See AgentOptions for the
    options; with none, it is a fresh identity that is gone with the object.
    """

    def __init__(self, **options: Unpack[AgentOptions]) -> None:
        super().__init__(options)
        self._tasks: set[asyncio.Future[Any]] = set()
        try:
            self._attach()
        except RuntimeError:
            pass  # no loop runs yet: the first await finds it

    @classmethod
    async def create(cls, **options: Unpack[AgentOptions]) -> Agent:
        """The same as Agent(...)."""
        return cls(**options)

    @classmethod
    def builder(cls) -> AgentBuilder:
        """An agent step by step: await Agent.builder().with_agent_key(seed).build()."""
        return AgentBuilder()

    @classmethod
    def from_env(cls, **options: Unpack[AgentOptions]) -> Agent:
        """An agent whose folders come from X0X_HOME and X0X_RUNTIME_DIR where those are set.

        Nothing else in this package reads the environment, but X0X_LIBRARY at loading."""
        return cls(**from_env(options))

    # -- the network

    async def join_network(self, timeout: float | None = None) -> None:
        """Listen, be found, and dial what is known.

        Returns after one pass, also if there is nobody yet; dialling goes on. Joining again
        does nothing. Raises OSError."""
        await self._call(_abi.X0X_M_JOIN, milliseconds(timeout), builtin=OSError)

    async def leave_network(self, timeout: float | None = None) -> None:
        """Say goodbye to all peers and stop listening. Joining again is possible."""
        await self._call(_abi.X0X_M_LEAVE, milliseconds(timeout), builtin=OSError)

    async def connect_to_agent(
        self, agent: AgentId | str | bytes, timeout: float | None = None
    ) -> ConnectResult:
        """Connect to an agent if it can be found. send_direct does that by itself."""
        to = AgentId.of(agent)._raw
        return connect_result(
            await self._call(_abi.X0X_M_CONNECT_AGENT, to, milliseconds(timeout))
        )

    async def connect_to_machine(
        self, machine: MachineId | str | bytes, timeout: float | None = None
    ) -> ConnectResult:
        to = MachineId.of(machine)._raw
        return connect_result(
            await self._call(_abi.X0X_M_CONNECT_MACHINE, to, milliseconds(timeout))
        )

    async def connect_to_address(
        self, address: str, timeout: float | None = None
    ) -> PeerIdentity:
        """Connect to whoever answers at 'host:port', and say who that is."""
        if not isinstance(address, str):
            raise TypeError(f"address must be str, not {type(address).__name__}")
        result = await self._call(
            _abi.X0X_M_CONNECT_ADDRESS, address, milliseconds(timeout)
        )
        return PeerIdentity(AgentId(result[0]), MachineId(result[1]))

    # -- who is online

    async def presence_foaf(self, ttl: int = 2, timeout: float = 5.0) -> list[PresenceEntry]:
        """Ask friends of friends who is online within `ttl` hops, 1 to 5.

        Returns when all have answered, or after `timeout` seconds (at most 60) with what has
        come. Raises UnreachableError before joining, and BusyError if 16 are under way."""
        rows = await self._call(_abi.X0X_M_PRESENCE_FOAF, *walk(ttl, timeout))
        return [presence_of(row) for row in rows]

    async def find_presence(
        self, agent: AgentId | str | bytes, ttl: int = 2, timeout: float = 5.0
    ) -> PresenceEntry | None:
        """Look for one agent as presence_foaf() does; None if nobody knew of it."""
        wanted = AgentId.of(agent)
        return found_by(await self._call(_abi.X0X_M_PRESENCE_FOAF, *walk(ttl, timeout)), wanted)

    # -- topics

    async def publish(
        self,
        topic: str,
        payload: bytes | bytearray | memoryview,
        timeout: float | None = None,
        *,
        wait: bool = True,
    ) -> None:
        """Sign a message and give it to the network. Publishing before there is a peer is fine.

        Returns when it is signed and on its way to the peers. While the publish queue is full
        it waits, so that who publishes feels it, for `timeout` seconds (10); with wait=False
        it raises BusyError instead, and nothing was published. Raises RuntimeError, which
        TooLargeError (over 1 MiB), TimeoutError and BusyError are here, too."""
        self._attach()
        await self._complete(self._core.publish(topic, payload, timeout, wait))

    def subscribe(
        self,
        topic: str,
        *,
        replay: bool = True,
        max_messages: int | None = None,
        max_bytes: int | None = None,
        policy: DropPolicy | str = DropPolicy.OLDEST,
    ) -> Subscription:
        """Read a topic, own messages included:  async for message in agent.subscribe("news").

        `replay` begins with what the network still retains. Up to max_messages (1,024) and
        max_bytes (8 MiB) wait for a slow reader, then `policy` drops. Works before joining."""
        feed = self._core.subscribe(topic, replay, max_messages, max_bytes, policy)
        return Subscription(self, feed)

    # -- direct messages

    async def send_direct(
        self,
        to: AgentId | str | bytes,
        payload: bytes | bytearray | memoryview,
        *,
        timeout: float | None = None,
        ordered: bool = True,
        on_disconnect: str = "wait",
    ) -> Receipt:
        """Send to one agent: private, acknowledged, in order, connecting if needed.

        Returns when the recipient's library has accepted it into the queue that its program
        reads. A lost connection is resumed until the timeout (10 s), or with
        on_disconnect='fail' until the peer is found to be gone. ordered=False may overtake.
        An error says in .delivered whether it may have arrived all the same ('unknown')."""
        self._attach()
        flags = send_flags(ordered, on_disconnect)
        operation = self._core.send(AgentId.of(to), payload, flags, timeout)
        return receipt(await self._complete(operation))

    async def recv_direct(self, timeout: float | None = None) -> DirectMessage:
        """The next direct message. Senders wait while it is not called and the inbox is full."""
        feed = self._core.inbox or self._core.direct()
        if not feed.items:
            await self._wait(feed, timeout)
        return feed.items.popleft()

    async def recv_direct_many(
        self, max: int | None = None, timeout: float | None = None
    ) -> list[DirectMessage]:
        """At least one direct message, and what is there besides, up to max. The fast way."""
        limit = limit_of(max)
        feed = self._core.inbox or self._core.direct()
        if not feed.items:
            await self._wait(feed, timeout)
        return feed.take_many(limit)

    def direct_messages(self) -> AsyncIterator[DirectMessage]:
        """async for message in agent.direct_messages(): ends when the agent closes."""
        return _DirectMessages(self)

    @property
    def direct_pending(self) -> int:
        """Direct messages that wait to be received."""
        feed = self._core.direct()
        if feed.ended is not None or feed.suspended:
            return len(feed.items)
        return len(feed.items) + int(
            self._core.call_now(_abi.X0X_M_INBOX_INFO, handle=feed.handle)[0]
        )

    # -- the end

    async def close(self, grace: float | None = None) -> None:
        """Leave the network and free everything. Repeating it does no harm.

        Sends in flight get `grace` seconds (2) to complete; other pending calls raise
        ClosedError. If this is cancelled, closing goes on all the same."""
        core = self._core
        if core.closed or _lib.forked():
            return
        loop = self._attach()
        core.begin_close(grace)
        waiter = loop.create_future()
        core.close_waiters.append(waiter)
        bound = _CLOSE_MARGIN + (2.0 if grace is None else grace)
        done, _ = await asyncio.wait({waiter}, timeout=bound)
        if not done:
            raise TimeoutError("the agent is still closing")
        self._finalizer.detach()

    aclose = close

    async def __aenter__(self) -> Agent:
        self._attach()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- the loop

    def _attach(self) -> asyncio.AbstractEventLoop:
        """Have the running loop watch the queue; raises RuntimeError on another one."""
        loop = asyncio.get_running_loop()
        core = self._core
        if core.loop is loop or core.closed:
            return loop
        if core.loop is not None and not core.loop.is_closed():
            raise RuntimeError(f"{self!r} is used by another event loop")
        if core.loop is not None:
            core.forget_waiters()  # they belong to a loop that is closed
        core.loop = loop
        loop.add_reader(core.fd, self._reader(loop))
        return loop

    def _reader(self, loop: asyncio.AbstractEventLoop) -> Any:
        # The loop must not keep the agent alive, or a forgotten one would never be noticed.
        core, tasks = self._core, self._tasks

        def spawn(coroutine: Any) -> None:
            task = loop.create_task(coroutine)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def readable() -> None:
            try:
                core.pump()
            except BaseException:
                # Whatever was drained is still there (see Core.pump): go on with it.
                if not loop.is_closed():
                    loop.call_soon(readable)
                raise
            if core.events:
                loop.call_soon(core.run_events, spawn)

        return readable

    async def _call(
        self, method: int, *args: Any, builtin: type[Exception] | None = None
    ) -> Any:
        self._attach()
        return await self._complete(self._core.start(method, *args, builtin=builtin))

    async def _complete(self, operation: Operation) -> Any:
        """The result of an operation. Cancelled, it leaves nothing behind."""
        if not operation.done:
            loop = asyncio.get_running_loop()
            operation.waiter = loop.create_future()
            try:
                await operation.waiter
            except asyncio.CancelledError:
                if not operation.done:
                    self._core.cancel(operation)
                    operation.waiter = loop.create_future()
                    await asyncio.wait({operation.waiter}, timeout=_CANCEL_WAIT)
                raise
        return operation.result()

    async def _wait(self, feed: Feed[M], timeout: float | None = None) -> None:
        """Returns when `feed` has something; raises TimeoutError, or why it never will."""
        loop = self._attach()
        deadline = None if timeout is None else loop.time() + milliseconds(timeout) / 1000
        while not feed.items:
            if feed.ended is not None:
                raise feed.failure()
            feed.refill()
            waiter: asyncio.Future[bool] = loop.create_future()
            feed.waiters.append(waiter)
            timer = None if deadline is None else loop.call_at(deadline, _expire, waiter)
            try:
                arrived = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    feed.wake()  # this reader was told, and leaves: tell the next
                raise
            finally:
                if timer is not None:
                    timer.cancel()
            if not arrived and not feed.items:
                raise TimeoutError(f"nothing was received within {timeout} s")
        if feed.waiters:
            feed.refill()  # others wait, too, and asked while there was credit left


class AgentBuilder(Builder):
    """Makes an Agent step by step."""

    def build(self) -> Coroutine[Any, Any, Agent]:
        """The agent, when awaited. Raises OSError "Failed to build agent: ..."."""
        options = self._finish()  # now, not when awaited

        async def agent() -> Agent:
            return Agent(**options)

        return agent()


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


class Subscription(BaseSubscription[Agent], AsyncIterator[Message], Awaitable["Subscription"]):
    """A topic as one reader sees it: usable at once, awaitable, async-iterable.

    Iteration waits for messages and ends when the subscription or its agent closes."""

    def __await__(self) -> Generator[Any, None, Subscription]:
        return self
        yield

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Message:
        feed = self._feed
        if not feed.items:
            await _until_more(self._agent, feed)
        return feed.items.popleft()

    async def recv(self, timeout: float | None = None) -> Message:
        """The next message. Raises ClosedError after the end, TimeoutError."""
        feed = self._feed
        if not feed.items:
            await self._agent._wait(feed, timeout)
        return feed.items.popleft()

    async def recv_many(
        self, max: int | None = None, timeout: float | None = None
    ) -> list[Message]:
        """At least one message, and what is there besides, up to max. The fast way."""
        limit = limit_of(max)
        if not self._feed.items:
            await self._agent._wait(self._feed, timeout)
        return self._feed.take_many(limit)

    def drain(self) -> list[Message]:
        """What is there now, possibly nothing. Does not wait."""
        feed = self._feed
        if not feed.items and feed.ended is None:
            feed.refill()
            feed.core.pump()
        return feed.take_many()

    def close(self) -> None:
        """Stop reading. Repeating it does no harm."""
        self._finalizer()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _DirectMessages(AsyncIterator[DirectMessage]):
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._feed = agent._core.direct()

    def __aiter__(self) -> _DirectMessages:
        return self

    async def __anext__(self) -> DirectMessage:
        feed = self._feed
        if not feed.items:
            await _until_more(self._agent, feed)
        return feed.items.popleft()


async def _until_more(agent: Agent, feed: Feed[M]) -> None:
    """Returns when `feed` has something; its regular end ends the iteration."""
    if feed.over() and feed.ended in (_abi.X0X_OK, _abi.X0X_E_CLOSED):
        raise StopAsyncIteration
    try:
        await agent._wait(feed)
    except Exception:
        if feed.ended in (_abi.X0X_OK, _abi.X0X_E_CLOSED):
            raise StopAsyncIteration from None
        raise
