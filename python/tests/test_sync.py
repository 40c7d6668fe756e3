"""The synchronous façade."""

from __future__ import annotations

import gc
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import WAIT, child_env, eventually

import x0x
from x0x.sync import Agent


@contextmanager
def pair(where: dict[str, Any]) -> Iterator[tuple[Agent, Agent]]:
    with Agent(**where) as a, Agent(**where) as b:
        a.join_network(timeout=WAIT)
        b.join_network(timeout=WAIT)
        assert a.connect_to_agent(b.agent_id, timeout=WAIT)
        yield a, b


def poll_until(agent: Agent, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        agent.poll(0.01)


def test_the_whole_tour(where: dict[str, Any]) -> None:
    with pair(where) as (a, b):
        sub = b.subscribe("news")
        a.publish("news", b"hello")
        m = sub.recv(timeout=WAIT)
        assert (m.payload, m.sender) == (b"hello", a.agent_id)
        assert a.send_direct(b.agent_id, b"ping").path == "direct"
        d = b.recv_direct(timeout=WAIT)
        assert (d.payload, d.machine_id) == (b"ping", a.machine_id)
        a.publish("news", b"1")
        a.publish("news", b"2")
        got: list[bytes] = []
        for m in sub:
            got.append(m.payload)
            if len(got) == 2:
                break
        assert got == [b"1", b"2"]
        assert sub.drain() == [] and sub.pending == 0 and sub.lagged == 0
        assert b.peers()[0].agent_id == a.agent_id
        a.publish("news", b"3", wait=False)
        assert sub.recv(timeout=WAIT).payload == b"3"
        a.set_topic_priority("news", "low")
        eventually(lambda: any(link.interested for m in a.topic_mesh() for link in m.links))
        (mesh,) = a.topic_mesh()
        assert mesh.name == "news" and mesh.priority is x0x.TopicPriority.LOW
        assert [link.agent_id for link in mesh.links] == a.neighbors() == [b.agent_id]
        assert a.known_peers() == [] and a.gossip_stats()["published"] == 4
        eventually(lambda: a.presence_status(b.agent_id))
        assert [entry.agent_id for entry in a.presence()] == [b.agent_id]
        assert isinstance(a.presence_foaf(ttl=1, timeout=0.5), list)
        assert a.find_presence(b"\x11" * 32, timeout=0.2) is None
        b.set_trust(a.agent_id, "trusted")
        assert b.trust(a.agent_id) is x0x.TrustLevel.TRUSTED
        with sub:
            pass
        assert list(sub) == []
        with pytest.raises(x0x.ClosedError):
            sub.recv()
        a.leave_network()
        assert not a.is_connected()
        with pytest.raises(OSError):
            Agent(**where, agent_key_path="/nowhere/key")
    assert a.closed
    a.close()
    with pytest.raises(x0x.ClosedError):
        a.publish("t", b"")
    with pytest.raises(x0x.ClosedError):
        a.recv_direct()
    with pytest.raises(x0x.ClosedError):
        a.direct_messages()


def test_timeouts(where: dict[str, Any]) -> None:
    with Agent(**where) as a:
        for call in (a.recv_direct, a.recv_direct_many, a.subscribe("t").recv):
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                call(timeout=0.05)
            assert time.monotonic() - begun >= 0.05
        with pytest.raises(x0x.NotFoundError):
            a.join_network()
            a.send_direct(b"\1" * 32, b"x")


def test_builder_and_connecting(where: dict[str, Any]) -> None:
    builder = Agent.builder().with_options(**where, local_discovery=False)
    with builder.build() as a, Agent(**where, local_discovery=False) as b:
        with pytest.raises(ValueError, match="already consumed by previous"):
            builder.build()
        a.join_network()
        b.join_network()
        assert a.connect_to_address(b.local_addresses()[0]).agent_id == b.agent_id
        assert a.connect_to_machine(b.machine_id).outcome == "AlreadyConnected"


def test_events_come_while_something_waits(where: dict[str, Any]) -> None:
    with Agent(**where) as a:
        seen: list[Any] = []
        a.on("connected", seen.append)
        a.on("disconnected", seen.append)
        a.join_network()
        with Agent(**where) as b:
            b.join_network()
            b.connect_to_agent(a.agent_id)
            poll_until(a, lambda: bool(seen))
        poll_until(a, lambda: len(seen) == 2)
        assert [e.type for e in seen] == ["connected", "disconnected"]


def test_a_callback_may_use_its_agent(where: dict[str, Any]) -> None:
    with pair(where) as (a, b):
        done: list[x0x.Receipt] = []
        a.on("lagged", lambda e: done.append(a.send_direct(b.agent_id, b"%d" % e.count)))
        sub = a.subscribe("t", max_messages=1)
        for _ in range(3):
            a.publish("t", b"x")
        sub.recv(timeout=WAIT)
        poll_until(a, lambda: bool(done))
        assert b.recv_direct(timeout=WAIT).payload == b"2"


def test_many_threads_share_an_agent(where: dict[str, Any]) -> None:
    with pair(where) as (a, b):
        count, senders, receivers = 200, 5, 5
        failures: list[BaseException] = []
        got: list[bytes] = []
        lock = threading.Lock()

        def send(n: int) -> None:
            try:
                for i in range(count):
                    a.send_direct(b.agent_id, b"%d-%d" % (n, i), timeout=WAIT)
            except BaseException as e:
                failures.append(e)

        def receive() -> None:
            try:
                while True:
                    batch = b.recv_direct_many(7)
                    with lock:
                        got.extend(m.payload for m in batch)
            except x0x.ClosedError:
                pass
            except BaseException as e:
                failures.append(e)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(senders)]
        waiting = [threading.Thread(target=receive) for _ in range(receivers)]
        for t in threads + waiting:
            t.start()
        for t in threads:
            t.join(WAIT)
        eventually(lambda: len(got) == count * senders)
        b.close()
        for t in waiting:
            t.join(WAIT)
            assert not t.is_alive()
        assert failures == []
        assert sorted(got) == sorted(
            b"%d-%d" % (n, i) for n in range(senders) for i in range(count)
        )


def test_closing_from_another_thread_wakes(where: dict[str, Any]) -> None:
    a = Agent(**where)
    ended = threading.Event()

    def wait() -> None:
        for _ in a.subscribe("t"):
            pass
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: x0x.live_handles(x0x._abi.X0X_KIND_SUBSCRIPTION))
    a.close()
    assert ended.wait(WAIT)
    thread.join()


def test_a_forgotten_agent(where: dict[str, Any]) -> None:
    a = Agent(**where)
    a.join_network()
    with pytest.warns(ResourceWarning, match="unclosed Agent"):
        del a
        gc.collect()
    eventually(lambda: x0x.live_handles() == 0)


WAITS_FOR = {
    "recv_direct": "agent.recv_direct()",
    "iteration": "next(agent.subscribe('t'))",
    "send_direct": "agent.send_direct(full.agent_id, b'x', timeout=60)",
}

PROGRAM = """
import sys, time
from x0x.sync import Agent
import x0x
where = dict(runtime_dir=sys.argv[1], network_id=sys.argv[2])
with Agent(**where) as agent, Agent(**where, inbox_messages=1) as full:
    agent.join_network(); full.join_network()
    agent.send_direct(full.agent_id, b"fill")
    print("ready", flush=True)
    try:
        {wait}
    except KeyboardInterrupt:
        print("interrupted", time.monotonic(), flush=True)
    assert not agent._core.operations, "the operation is still there"
    agent.publish("t", b"still works")
assert x0x.live_handles() == 0
print("closed", flush=True)
"""


@pytest.mark.parametrize("name", WAITS_FOR)
def test_ctrl_c_is_noticed_at_once(where: dict[str, Any], name: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(wait=WAITS_FOR[name]), *where.values()],
        env=child_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        in_library(process.pid)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        word, at = process.stdout.readline().split()
        assert word == "interrupted"
        # The goal is 200 ms; the bound leaves room for a busy machine.
        assert float(at) - sent < 1.0
        out, err = process.communicate(timeout=WAIT)
        assert (out, err, process.returncode) == ("closed\n", "", 0)
    finally:
        process.kill()
        process.wait()


def in_library(pid: int) -> None:
    """Returns when the main thread of a process sleeps: it waits for what will not come."""

    def sleeps() -> bool:
        with open(f"/proc/{pid}/task/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "S"

    eventually(sleeps)


def test_a_storm_of_interrupts_loses_nothing(where: dict[str, Any]) -> None:
    """A handler that raises, hundreds of times at any place: each message comes exactly once."""

    class Interrupt(Exception):
        pass

    def raises(number: int, frame: Any) -> None:
        # Only inside the package, where it must be survived; a real program would end.
        while frame is not None:
            if frame.f_code.co_name in ("pump", "_drain", "_dispatch", "drain"):
                raise Interrupt
            frame = frame.f_back

    with Agent(**where) as a:
        got: list[x0x.Message] = []
        count, interrupts = 3000, 0
        sub = a.subscribe("local:t", max_messages=count)
        for i in range(count):
            a.publish("local:t", b"%d" % i)
        old = signal.signal(signal.SIGALRM, raises)
        end = time.monotonic() + WAIT
        try:
            while len(got) < count or interrupts == 0:
                assert time.monotonic() < end, f"{len(got)} messages, {interrupts} interrupts"
                feed = sub._feed
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.001))
                    if not feed.items:
                        feed.refill()
                        a._core.pump()
                except Interrupt:
                    interrupts += 1
                    continue
                while feed.items:
                    got.append(feed.items.popleft())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        assert [m.payload for m in got] == [b"%d" % i for i in range(count)]
        assert sub._feed.received == count
