"""One asyncio agent, and two that talk."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from conftest import WAIT, eventually, pair, run

import x0x
from x0x import Agent, AgentId


def test_a_fresh_agent(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a, Agent(**where) as b:
            assert a.agent_id != b.agent_id and a.machine_id != b.machine_id
            assert a.peer_id() == a.machine_id.to_hex()
            assert a.user_id is None
            assert repr(a) == f"<Agent {str(a.agent_id)[:16]}>"
            assert not a.is_connected() and a.peers() == [] == a.connected_agents()
            assert a.local_addresses() == []
            assert not a.is_agent_connected(b.agent_id)
            assert isinstance(a.stats(), dict) and a.stats()
        assert a.closed and repr(a).endswith("closed>")
        assert a.peer_id() == a.machine_id.to_hex(), "who it was is still known"

    run(main())


def test_join_and_leave_repeat(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            for _ in range(3):
                await a.join_network()
                await a.join_network()
                assert a.local_addresses()
                await a.leave_network()
                assert not a.is_connected()

    run(main())


def test_seeds_give_the_same_identity(where: dict[str, Any]) -> None:
    async def main() -> None:
        ids = []
        for options in ({"agent_key": b"s" * 32}, {"agent_key": bytearray(b"s" * 32)}):
            async with Agent(**where, **options) as a:
                ids.append(a.agent_id)
        builder = Agent.builder().with_options(**where).with_agent_key(b"s" * 32)
        async with await builder.build() as a:
            ids.append(a.agent_id)
        assert len(set(ids)) == 1

    run(main())


def test_a_persistent_identity(where: dict[str, Any], tmp_path: Path) -> None:
    async def main() -> None:
        async with Agent(**where, name="alice", home_dir=tmp_path) as a:
            first = (a.agent_id, a.machine_id)
            with pytest.raises(x0x.BusyError) as e:
                Agent(**where, name="alice", home_dir=tmp_path)
            assert isinstance(e.value, OSError) and e.value.retryable is not None
        assert (tmp_path / ".x0x-alice").stat().st_mode & 0o777 == 0o700
        async with await Agent.create(**where, name="alice", home_dir=tmp_path) as a:
            assert (a.agent_id, a.machine_id) == first

    run(main())


def test_from_env(
    where: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X0X_HOME", str(tmp_path))
    monkeypatch.setenv("X0X_RUNTIME_DIR", where["runtime_dir"])

    async def main() -> None:
        async with Agent.from_env(network_id=where["network_id"], name="env") as a:
            await a.join_network()
            assert (tmp_path / ".x0x-env").is_dir()
            assert os.listdir(where["runtime_dir"])

    run(main())


def test_joining_fails_with_oserror(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where, bootstrap="no-such-host.invalid:1") as a:
            with pytest.raises(OSError) as e:
                await a.join_network()
            assert isinstance(e.value, x0x.UnreachableError)
        async with Agent(**{**where, "runtime_dir": "/proc/nope"}) as a:
            with pytest.raises(OSError) as e:
                await a.join_network()
            assert isinstance(e.value, x0x.X0XError)

    run(main())


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"agent_key_path": "/nowhere/agent.key"}, x0x.NotFoundError),
        ({"name": "../evil"}, x0x.InvalidArgumentError),
        ({"bind": "127.0.0.1:notaport"}, x0x.InvalidArgumentError),
    ],
)
def test_building_fails_with_oserror(
    where: dict[str, Any], options: dict[str, Any], kind: type[Exception]
) -> None:
    async def main() -> None:
        with pytest.raises(OSError) as e:
            await Agent.builder().with_options(**{**where, **options}).build()
        assert isinstance(e.value, kind)
        assert str(e.value).startswith("Failed to build agent: ")

    run(main())


def test_a_damaged_key_file_is_left_alone(where: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "agent.key"
    file.write_bytes(b"k" * 6000)
    file.chmod(0o600)

    async def main() -> None:
        with pytest.raises(OSError) as e:
            Agent(**where, agent_key_path=file)
        assert isinstance(e.value, x0x.CorruptError)

    run(main())
    assert file.read_bytes() == b"k" * 6000


def test_nothing_works_once_closed(where: dict[str, Any]) -> None:
    async def main() -> None:
        a = Agent(**where)
        sub = a.subscribe("t")
        await a.close()
        await a.close()
        await a.aclose()
        other = AgentId(bytes(32))
        for call in (
            lambda: a.join_network(),
            lambda: a.publish("t", b""),
            lambda: a.send_direct(other, b""),
            lambda: a.recv_direct(),
            lambda: a.recv_direct_many(),
            lambda: a.connect_to_agent(other),
            lambda: a.presence_foaf(),
            lambda: a.find_presence(other),
            lambda: sub.recv(),
        ):
            with pytest.raises(x0x.ClosedError):
                await call()
        for now in (
            a.peers,
            a.stats,
            a.contacts,
            a.topic_mesh,
            a.gossip_stats,
            a.neighbors,
            a.known_peers,
            lambda: a.set_topic_priority("t", "high"),
            lambda: a.trust(other),
            lambda: a.contact(other),
            lambda: a.add_contact(other),
            lambda: a.evaluate_trust(other),
            a.presence,
            lambda: a.presence_status(other),
            lambda: a.watch_presence(other),
        ):
            with pytest.raises(x0x.ClosedError):
                now()
        with pytest.raises(x0x.ClosedError) as e:
            await a.publish("t", b"")
        assert isinstance(e.value, RuntimeError)
        with pytest.raises(RuntimeError):
            a.subscribe("t")
        assert [m async for m in sub] == []
        assert sub.closed and (sub.pending, sub.drain()) == (0, [])
        assert not a.is_connected()
        a.on("connected", print)
        a.off("connected", print)

    run(main())


def test_closing_ends_what_waits(where: dict[str, Any]) -> None:
    async def main() -> None:
        a = Agent(**where)
        await a.join_network()
        waiting = [
            asyncio.create_task(a.recv_direct()),
            asyncio.create_task(a.subscribe("t").recv()),
            asyncio.create_task(a.send_direct(bytes(32), b"x", timeout=60)),
        ]
        iterating = asyncio.create_task(collect(a.subscribe("u")))
        await asyncio.sleep(0)
        await a.close(grace=0)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(r) for r in results[:2]] == [x0x.ClosedError] * 2
        assert isinstance(results[2], (x0x.ClosedError, x0x.NotFoundError))
        assert await iterating == []

    run(main())


async def collect(sub: Any) -> list[bytes]:
    return [m.payload async for m in sub]


def test_wrong_types_are_typeerrors(where: dict[str, Any]) -> None:
    async def main() -> None:
        bad: Any
        async with Agent(**where) as a:
            for bad in ("text", None, 7, [b""]):
                with pytest.raises(TypeError):
                    await a.publish("t", bad)
                with pytest.raises(TypeError):
                    await a.send_direct(bytes(32), bad)
            for bad in (None, 7, b"t"):
                with pytest.raises(TypeError):
                    a.subscribe(bad)
                with pytest.raises(TypeError):
                    await a.publish(bad, b"")
                with pytest.raises(TypeError):
                    await a.connect_to_address(bad)
                with pytest.raises(TypeError):
                    a.on(bad, print)
            with pytest.raises(TypeError):
                a.on("connected", None)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await a.join_network(timeout="1")  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await a.recv_direct_many(1.5)  # type: ignore[arg-type]
            with pytest.raises(ValueError):
                await a.recv_direct_many(0)
            with pytest.raises(ValueError):
                await a.send_direct(bytes(32), b"", on_disconnect="maybe")
            with pytest.raises(ValueError):
                await a.send_direct(bytes(31), b"")
            with pytest.raises(ValueError):
                a.subscribe("t", policy="drop_everything")
            with pytest.raises(ValueError):
                await a.publish("a\0b", b"")
            with pytest.raises(ValueError):
                await a.publish("\ud800", b"")
            with pytest.raises(ValueError):
                await a.publish("t", b"", timeout=1, wait=False)
            for bad in (1, None, "urgent", b"high", True):
                with pytest.raises(x0x.InvalidArgumentError):
                    a.set_topic_priority("t", bad)
            for bad in ("a\0b", "x" * 257, "\ud800"):
                with pytest.raises(x0x.InvalidArgumentError):
                    a.set_topic_priority(bad, "high")
            with pytest.raises(TypeError):
                a.set_topic_priority(b"t", "high")  # type: ignore[arg-type]

    run(main())


def test_random_arguments_never_do_worse_than_raise(where: dict[str, Any]) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    values: list[Any] = [
        None, True, 0, -1, 1 << 70, 1.5, float("nan"), float("inf"), "", "t", "a\0b", "\ud800",
        "0" * 64, "x" * 5000, b"", b"\0" * 32, b"x" * 100, bytearray(3), memoryview(b"m"),
        [], [1], {}, object(), AgentId(bytes(32)), x0x.MachineId(bytes(32)), "known",
        "127.0.0.1:1", ["127.0.0.1:1"], x0x.TrustLevel.KNOWN, print,
    ]  # fmt: skip

    async def main() -> None:
        async with Agent(**where) as a:
            names = [
                "publish", "subscribe", "send_direct", "connect_to_agent", "connect_to_machine",
                "connect_to_address", "set_trust", "trust", "block", "remove_contact", "add_peer",
                "is_agent_connected", "on", "off", "recv_direct", "recv_direct_many",
                "set_topic_priority", "add_contact", "contact", "set_label", "set_identity_type",
                "machines", "add_machine", "remove_machine", "pin_machine", "unpin_machine",
                "evaluate_trust", "sign", "verify", "card", "import_card", "identity_words",
                "evaluate_trust", "presence_status", "watch_presence", "unwatch_presence",
                "find_presence",
            ]  # fmt: skip
            for _ in range(1500):
                name = rng.choice(names)
                args = [rng.choice(values) for _ in range(rng.randrange(4))]
                try:
                    result = getattr(a, name)(*args)
                    if asyncio.iscoroutine(result):
                        await asyncio.wait_for(result, 0.02)
                except (TypeError, ValueError, asyncio.TimeoutError, x0x.X0XError):
                    pass
                except Exception as e:
                    raise AssertionError(f"seed {seed}: {name}{args!r}: {e!r}") from e
            sub = a.subscribe("still works", replay=False)
            a.set_trust(a.agent_id, "unknown")
            await a.publish("still works", b"x")
            assert (await sub.recv(timeout=WAIT)).payload == b"x"

    run(main())


# -- topics


def test_a_subscription_serves_in_every_shape(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            plain = a.subscribe("t")
            awaited = await a.subscribe("t")
            async with a.subscribe("t") as managed:
                for i in range(3):
                    await a.publish("t", b"%d" % i)
                assert (await plain.recv()).payload == b"0"
                assert (await awaited.recv_many(2))[0].payload == b"0"
                seen = []
                async for m in managed:
                    seen.append(m.payload)
                    if len(seen) == 3:
                        break
                assert seen == [b"0", b"1", b"2"]
            assert managed.closed and repr(managed) == "<Subscription 't' closed>"
            assert plain.topic == "t"
            plain.close()
            plain.close()
            assert [m async for m in plain] == []
            with pytest.raises(x0x.ClosedError):
                await plain.recv()

    run(main())


def test_drain_pending_and_lagged(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            sub = a.subscribe("t", max_messages=10)
            newest = a.subscribe("t", max_messages=10, policy="drop_newest")
            assert sub.drain() == [] and sub.pending == 0
            # The empty drain has asked for one message: it may be on its way already.
            for i in range(25):
                await a.publish("t", b"%d" % i)
            got: list[x0x.Message] = []
            while len(got) + sub.lagged < 25:
                got += sub.drain()
            assert sub.pending == 0
            assert got[-1].payload == b"24"
            assert sum(m.lagged for m in got) == sub.lagged == 25 - len(got) >= 14
            kept: list[x0x.Message] = []
            while len(kept) < 10:
                kept += await newest.recv_many(3)
            assert [m.payload for m in kept] == [b"%d" % i for i in range(10)]
            assert newest.lagged == 15

    run(main())


def test_lagged_events(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            told: asyncio.Queue[x0x.LaggedEvent] = asyncio.Queue()
            a.on("lagged", told.put_nowait)
            sub = a.subscribe("t", max_messages=4)
            for i in range(10):
                await a.publish("t", b"%d" % i)
            first = await sub.recv(timeout=WAIT)
            assert first.lagged == 6 and first.payload == b"6"
            event = await asyncio.wait_for(told.get(), WAIT)
            assert (event.count, event.topic, event.type) == (6, "t", "lagged")
            assert (event.first_sequence, event.last_sequence) == (1, 6)

    run(main())


def test_many_readers_of_one_subscription(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            sub = a.subscribe("t")
            readers = [asyncio.create_task(sub.recv()) for _ in range(10)]
            await asyncio.sleep(0)
            for i in range(10):
                await a.publish("t", b"%d" % i)
            got = [m.payload for m in await asyncio.gather(*readers)]
            assert sorted(got) == [b"%d" % i for i in range(10)]

    run(main())


def test_timeouts_of_receiving(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            sub = a.subscribe("t")
            for call in (
                sub.recv(timeout=0.01),
                sub.recv_many(timeout=0),
                a.recv_direct(timeout=0.01),
                a.recv_direct_many(5, timeout=0.01),
            ):
                with pytest.raises(TimeoutError) as e:
                    await call
                assert isinstance(e.value, x0x.TimeoutError)
                assert e.value.code == "X0X_E_TIMEOUT"
            await a.publish("t", b"after")
            assert (await sub.recv(timeout=WAIT)).payload == b"after", "timeouts lose nothing"

    run(main())


def test_topics_between_two(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair(where) as (a, b):
            sub = b.subscribe("news")
            for payload in (b"", b"\xff\x00", "žluťoučký".encode(), b"x" * (1 << 20)):
                await a.publish("news", payload)
                m = await sub.recv(timeout=WAIT)
                assert (m.payload, m.sender, m.topic) == (payload, a.agent_id, "news")
                assert m.trust_level is x0x.TrustLevel.UNKNOWN and m.epoch > 0
            await a.publish("news", memoryview(b"view"))
            assert (await sub.recv(timeout=WAIT)).payload == b"view"
            with pytest.raises(x0x.TooLargeError) as e:
                await a.publish("news", b"x" * ((1 << 20) + 1))
            assert isinstance(e.value, RuntimeError)

    run(main())


def test_the_mesh_of_a_topic(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair({**where, "active_peers": 3, "max_peers_per_address": -1}) as (a, b):
            sub = b.subscribe("news")
            a.set_topic_priority("news", x0x.TopicPriority.HIGH)
            await a.publish("news", b"x")
            assert (await sub.recv(timeout=WAIT)).payload == b"x"
            eventually(lambda: any(link.interested for m in a.topic_mesh() for link in m.links))
            (mesh,) = a.topic_mesh()
            (link,) = mesh.links
            assert (mesh.name, mesh.priority, mesh.subscriptions) == (
                "news",
                x0x.TopicPriority.HIGH,
                0,
            )
            assert (mesh.retained, mesh.missing, len(mesh.topic_id)) == (1, 0, 64)
            assert (link.agent_id, link.eager, link.carries, link.distance) == (
                b.agent_id,
                True,
                True,
                0,
            )
            assert link.rtt is None or 0 < link.rtt < 10
            head, line = str(mesh).splitlines()
            assert head == "'news': high priority, 0 subscriptions, 1 retained, 0 missing"
            assert line.startswith(f"  {str(b.agent_id)[:16]}  eager  subscribes ")
            assert line.endswith(" ms  0 first, 0 duplicate")
            assert hash(mesh) and "TopicMesh(topic_id=" in repr(mesh)
            with pytest.raises(AttributeError):
                mesh.name = "other"  # type: ignore[misc]
            (theirs,) = b.topic_mesh()
            assert theirs.priority is x0x.TopicPriority.NORMAL, "priorities are each agent's own"
            # The first message may have been fetched; from now on they are pushed.
            assert theirs.subscriptions == 1 and theirs.links[0].first <= 1
            before = theirs.links[0].first
            await a.publish("news", b"y")
            assert (await sub.recv(timeout=WAIT)).payload == b"y"
            assert b.topic_mesh()[0].links[0].first == before + 1
            assert a.neighbors() == [b.agent_id]
            stats = b.gossip_stats()
            assert stats["received"] == 2 == b.stats()["gossip.received"]
            assert not any(name.startswith("gossip") for name in stats)

    run(main())


def test_known_peers(where: dict[str, Any]) -> None:
    """With one place, whoever is not in it is remembered."""

    async def main() -> None:
        async with Agent(**where, active_peers=1) as a, Agent(**where) as b, Agent(**where) as c:
            for agent in (a, b, c):
                await agent.join_network()
            others = {b.agent_id: b, c.agent_id: c}
            eventually(lambda: a.known_peers() and a.neighbors())
            for peer in a.known_peers():
                assert peer.machine_id == others[peer.agent_id].machine_id
                assert peer.addresses and all(":" in address for address in peer.addresses)
                assert peer.agent_id not in a.neighbors()

    run(main())


def test_who_does_not_wait_is_refused(where: dict[str, Any]) -> None:
    """Each topic takes a signature of its own: they come faster than they are signed."""

    async def main() -> None:
        async with Agent(**where, max_operations=100_000) as a:
            published = 0
            refused: list[BaseException] = []
            end = asyncio.get_running_loop().time() + WAIT
            while not refused and asyncio.get_running_loop().time() < end:
                results = await asyncio.gather(
                    *(a.publish(f"topic {i}", b"", wait=False) for i in range(4000)),
                    return_exceptions=True,
                )
                published += results.count(None)
                refused += [r for r in results if r is not None]
            assert published >= 1024 and refused
            for e in refused:
                assert isinstance(e, x0x.BusyError) and isinstance(e, RuntimeError)
                assert e.retryable
            await a.publish("t", b"now there is room", wait=False)

    run(main())


# -- direct messages


def test_direct_messages_both_ways(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair(where) as (a, b):
            receipt = await a.send_direct(b.agent_id, b"ping")
            assert receipt.path and receipt.rtt >= 0 and receipt.sequence >= 1
            m = await b.recv_direct(timeout=WAIT)
            assert (m.payload, m.sender, m.machine_id) == (b"ping", a.agent_id, a.machine_id)
            assert m.trust_decision is x0x.TrustDecision.UNKNOWN and m.received_at > 1.6e12
            await b.send_direct(m.sender.to_hex(), bytearray(b"pong"))
            await b.send_direct(bytes(m.sender), b"pong 2", ordered=False, on_disconnect="fail")
            got = [(await a.recv_direct(timeout=WAIT)).payload for _ in range(2)]
            assert got == [b"pong", b"pong 2"]
            peer = a.peers()[0]
            assert (peer.agent_id, peer.machine_id) == (b.agent_id, b.machine_id)
            assert peer.path == "direct" and peer.connected_ms > 1.6e12
            assert a.connected_agents() == [b.agent_id] and a.is_agent_connected(b.agent_id)

    run(main())


def test_ten_thousand_in_order(where: dict[str, Any]) -> None:
    async def main() -> None:
        count = 10_000
        async with pair(where) as (a, b):

            async def send() -> None:
                window = asyncio.Semaphore(1000)

                async def one(i: int) -> None:
                    try:
                        await a.send_direct(b.agent_id, b"%d" % i, timeout=60)
                    finally:
                        window.release()

                sending = []
                for i in range(count):
                    await window.acquire()
                    sending.append(asyncio.create_task(one(i)))
                await asyncio.gather(*sending)

            task = asyncio.create_task(send())
            got: list[bytes] = []
            async for m in b.direct_messages():
                got.append(m.payload)
                if len(got) == count // 2:
                    break
            while len(got) < count:
                batch = await b.recv_direct_many(777, timeout=WAIT)
                assert 1 <= len(batch) <= 777
                got += [m.payload for m in batch]
            await task
            assert got == [b"%d" % i for i in range(count)]
            assert b.direct_pending == 0

    run(main())


def test_a_full_inbox_holds_back(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a, Agent(**where, inbox_messages=4) as b:
            await a.join_network()
            await b.join_network()
            for i in range(4):
                await a.send_direct(b.agent_id, b"%d" % i)
            with pytest.raises(x0x.TimeoutError) as e:
                await a.send_direct(b.agent_id, b"late", timeout=0.3)
            assert e.value.delivered in ("no", "unknown")
            assert b.direct_pending == 4
            got = [(await b.recv_direct(timeout=WAIT)).payload for _ in range(4)]
            assert got == [b"0", b"1", b"2", b"3"]
            await a.send_direct(b.agent_id, b"next")
            rest = [(await b.recv_direct(timeout=WAIT)).payload]
            while rest[-1] != b"next":  # "late" was given up, but may have been on its way
                rest.append((await b.recv_direct(timeout=WAIT)).payload)
            assert rest in ([b"next"], [b"late", b"next"])

    run(main())


def test_large_bodies_come_whole_and_in_place(where: dict[str, Any]) -> None:
    async def main() -> None:
        bodies = [os.urandom(16 << 20), b"small", os.urandom(300_000), b"", os.urandom(5 << 20)]
        async with pair(where) as (a, b):
            sending = asyncio.gather(*(a.send_direct(b.agent_id, x, timeout=60) for x in bodies))
            for body in bodies:
                m = await b.recv_direct(timeout=WAIT)
                assert m.payload == body
            await sending
            with pytest.raises(ValueError):
                await a.send_direct(b.agent_id, bytes((16 << 20) + 1))

    run(main())


def test_signing_and_cards(where: dict[str, Any], tmp_path: Path) -> None:
    async def main() -> None:
        options = {**where, "name": "ada", "home_dir": tmp_path}
        async with Agent(**options, user_key=b"u" * 32) as a, Agent(**where) as b:
            signature = a.sign("test/v1", bytearray(b"x"))
            b.verify(a.agent_id, "test/v1", b"x", signature)
            with pytest.raises(x0x.AuthError):
                b.verify(b.agent_id, "test/v1", b"x", signature)
            with pytest.raises(x0x.InvalidArgumentError):
                a.sign("", b"x")
            with pytest.raises(TypeError):
                a.sign("test/v1", "x")  # type: ignore[arg-type]
            assert len(a.identity_words().split()) == 4
            assert b.identity_words(a.agent_id) == a.identity_words()
            certificate = a.certificate()
            assert certificate is not None and certificate.user_id == a.user_id
            assert certificate.issued_ms < certificate.expires_ms and certificate.data
            assert b.certificate() is None and b.user_id is None

            link = a.card("Ada", addresses=["192.0.2.1:9"], groups=[("g", "i")], lifetime=60)
            with pytest.raises(x0x.InvalidArgumentError):
                a.import_card(link)
            card = b.import_card(link, "trusted")
            assert (card.agent_id, card.machine_id) == (a.agent_id, a.machine_id)
            assert card.added and card.trust_level is x0x.TrustLevel.TRUSTED
            assert card.addresses == ("192.0.2.1:9",) and card.stores == ()
            assert card.groups[0].invite_link == "i" and card.user_id is None
            assert card.expires_at == card.created_at + 60
            b.block(a.agent_id)
            card = b.import_card(a.card(), "trusted")
            assert not card.added and card.trust_level is x0x.TrustLevel.BLOCKED
            with pytest.raises(x0x.PolicyError, match="human_consent"):
                a.card(include_user=True)
            shown = b.import_card(a.card(include_user=True, human_consent=True))
            assert shown.user_id == a.user_id
            with pytest.raises(x0x.TooLargeError):
                b.import_card("x0x://agent/" + "A" * 70000)
            a.block(b.agent_id)
        contacts = tmp_path / ".x0x-ada" / "contacts.json"
        async with Agent(**options) as a:
            assert a.trust(b.agent_id) is x0x.TrustLevel.BLOCKED
            assert a.user_id == certificate.user_id
        contacts.write_text("{")
        with pytest.raises(x0x.CorruptError, match="restore it from a backup"):
            Agent(**options)
        assert contacts.read_text() == "{"
async def until(condition: Any) -> None:
    """Lets the loop run until it holds."""

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), WAIT)


def test_presence(where: dict[str, Any]) -> None:
    async def main() -> None:
        quick = {**where, "presence_interval": 0.2}
        async with Agent(**quick) as a, Agent(**quick) as b:
            seen: list[Any] = []
            a.on("agent_online", seen.append)
            a.on("agent_offline", seen.append)
            assert a.presence() == [] and a.presence_status(b.agent_id) is None
            with pytest.raises(x0x.UnreachableError):
                await a.presence_foaf()
            await a.join_network()
            await b.join_network()
            await until(lambda: len(seen) == 1)
            assert isinstance(seen[0], x0x.AgentOnlineEvent)
            assert (seen[0].agent_id, seen[0].machine_id) == (b.agent_id, b.machine_id)
            (entry,) = a.presence()
            assert entry and entry.machine_id == b.machine_id
            assert entry.source == "direct" and entry.last_seen is not None
            assert abs(entry.last_seen - time.time()) < 60
            assert a.presence_status(str(b.agent_id)) == entry
            assert await a.find_presence(b"\x11" * 32, timeout=0.2) is None
            with pytest.raises(x0x.InvalidArgumentError):
                await a.presence_foaf(ttl=6)
            with pytest.raises(x0x.InvalidArgumentError):
                await a.presence_foaf(ttl=0)
            with pytest.raises(TypeError):
                await a.presence_foaf(ttl=1.5)  # type: ignore[arg-type]
            a.watch_presence(b"\x11" * 32)
            a.unwatch_presence(b"\x11" * 32)
            await b.leave_network()
            await until(lambda: len(seen) == 2)
            assert isinstance(seen[1], x0x.AgentOfflineEvent) and a.presence() == []

    run(main())


def test_errors_of_sending(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair(where) as (a, b):
            with pytest.raises(x0x.NotFoundError) as e:
                await a.send_direct(b"\x11" * 32, b"x")
            assert e.value.delivered == "no"
            a.block(b.agent_id)
            assert a.trust(b.agent_id) is x0x.TrustLevel.BLOCKED
            with pytest.raises(x0x.BlockedError):
                await a.send_direct(b.agent_id, b"x")
            assert [c.agent_id for c in a.contacts()] == [b.agent_id]
            assert a.contacts()[0].trust_level is x0x.TrustLevel.BLOCKED
            a.add_contact(b.agent_id, "trusted", "bea")
            a.pin_machine(b.agent_id, b.machine_id)
            contact = a.contact(b.agent_id)
            assert contact is not None and contact.last_seen is None
            assert (contact.label, contact.identity_type) == ("bea", x0x.IdentityType.PINNED)
            (machine,) = a.machines(b.agent_id)
            assert machine.machine_id == b.machine_id and machine.pinned
            assert machine.first_seen_ms > 1.6e12 and machine.last_seen_ms is None
            assert a.evaluate_trust(b.agent_id, b.machine_id) is x0x.TrustDecision.ACCEPT
            mismatch = x0x.TrustDecision.REJECT_MACHINE_MISMATCH
            assert a.evaluate_trust(b.agent_id, a.machine_id) is mismatch
            assert a.evaluate_trust(b.agent_id) is mismatch
            with pytest.raises(x0x.NotFoundError):
                a.remove_machine(b.agent_id, a.machine_id)
            with pytest.raises(x0x.InvalidArgumentError):
                a.set_label(b.agent_id, "x" * 257)
            with pytest.raises(TypeError):
                a.set_label(b.agent_id, 5)  # type: ignore[arg-type]
            assert a.remove_contact(b.agent_id) and not a.remove_contact(b.agent_id)
            await a.send_direct(b.agent_id, b"x")
            assert not await a.connect_to_agent(b"\x11" * 32)

    run(main())


def test_connecting_by_address_and_machine(where: dict[str, Any]) -> None:
    async def main() -> None:
        where["local_discovery"] = False
        async with Agent(**where) as a, Agent(**where) as b, Agent(**where) as c:
            for agent in (a, b, c):
                await agent.join_network()
            assert (await a.connect_to_agent(b.agent_id)).outcome is x0x.ConnectOutcome.NOT_FOUND
            found = await a.connect_to_address(b.local_addresses()[0])
            assert found == x0x.PeerIdentity(b.agent_id, b.machine_id)
            assert (await a.connect_to_agent(b.agent_id)).outcome == "AlreadyConnected"
            c.add_peer(b.machine_id, b.local_addresses(), b.agent_id)
            result = await c.connect_to_machine(b.machine_id)
            assert result and (result.address is None or ":" in result.address)
            with pytest.raises(x0x.X0XError):
                await a.connect_to_address("not an address")

    run(main())


# -- events


def test_lifecycle_events(where: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        happened: asyncio.Queue[Any] = asyncio.Queue()
        ran: asyncio.Queue[str] = asyncio.Queue()

        def fails(event: Any) -> None:
            raise ValueError("my listener is broken")

        async def coroutine(event: Any) -> None:
            ran.put_nowait(event["peer_id"])

        async with Agent(**where) as a:
            a.on("connected", fails)
            for event in ("connected", "peer_joined", "disconnected", "my own name"):
                a.on(event, happened.put_nowait)
            a.on("connected", coroutine)
            a.off("connected", print)
            a.off("never heard of", print)
            await a.join_network()
            async with Agent(**where) as b:
                await b.join_network()
                await b.connect_to_agent(a.agent_id)
                names = {(await asyncio.wait_for(happened.get(), WAIT)).type for _ in range(2)}
                assert names == {"connected", "peer_joined"}
                assert await asyncio.wait_for(ran.get(), WAIT) == b.peer_id()
            gone = await asyncio.wait_for(happened.get(), WAIT)
            assert (gone.type, gone.agent_id, gone.peer_id) == (
                "disconnected",
                b.agent_id,
                b.peer_id(),
            )

    run(main())
    assert "my listener is broken" in capsys.readouterr().err


def test_the_message_event(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            seen: asyncio.Queue[x0x.Message] = asyncio.Queue()
            sub = a.subscribe("t")
            a.on("message", seen.put_nowait)
            a.on("message", seen.put_nowait)
            await a.publish("t", b"x")
            for _ in range(2):
                m = await asyncio.wait_for(seen.get(), WAIT)
                assert (m.payload, m.topic, m.sender) == (b"x", "t", a.agent_id)
            a.off("message", seen.put_nowait)
            await a.publish("t", b"y")
            assert (await asyncio.wait_for(seen.get(), WAIT)).payload == b"y"
            a.off("message", seen.put_nowait)
            await a.publish("t", b"z")
            assert [(await sub.recv(timeout=WAIT)).payload for _ in range(3)] == [b"x", b"y", b"z"]
            assert seen.empty()

    run(main())


# -- cancellation


def test_cancelled_calls_leave_nothing(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a, Agent(**where, inbox_messages=1) as b:
            await a.join_network()
            await b.join_network()
            await a.send_direct(b.agent_id, b"fills the inbox")
            stuck = [
                asyncio.create_task(a.send_direct(b.agent_id, b"%d" % i, timeout=60))
                for i in range(100)
            ]
            await asyncio.sleep(0)
            for task in stuck[1::2]:
                task.cancel()
            for task in stuck[1::2]:
                with pytest.raises(asyncio.CancelledError):
                    await task
            eventually(lambda: len(a._core.operations) <= 50 or a._core.pump() and False)
            got = {(await b.recv_direct(timeout=WAIT)).payload}
            for _ in stuck[::2]:
                m = await b.recv_direct(timeout=WAIT)
                while m.payload in {b"%d" % i for i in range(1, 100, 2)}:
                    m = await b.recv_direct(timeout=WAIT)  # cancelled when already on its way
                got.add(m.payload)
            await asyncio.gather(*stuck[::2])
            assert got == {b"fills the inbox", *(b"%d" % i for i in range(0, 100, 2))}
            assert not a._core.operations

    run(main())


def test_timeouts_of_asyncio_work(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            sub = a.subscribe("t")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sub.recv(), 0.01)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(a.recv_direct(), 0.01)
            await a.publish("t", b"x")
            assert (await asyncio.wait_for(sub.recv(), WAIT)).payload == b"x"
            await a.send_direct(a.agent_id, b"y")
            assert (await asyncio.wait_for(a.recv_direct(), WAIT)).payload == b"y"

    run(main())


def test_a_storm_of_cancellation(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with pair(where) as (a, b):
            sub = b.subscribe("t")
            rounds, done = 30, 0

            async def worker(i: int) -> None:
                await a.send_direct(b.agent_id, b"d%d" % i, timeout=30)
                await a.publish("t", b"t%d" % i)

            async def receive() -> None:
                while True:
                    await b.recv_direct()

            async def read() -> None:
                async for _ in sub:
                    pass

            receiver, reader = asyncio.create_task(receive()), asyncio.create_task(read())
            for n in range(rounds):
                tasks = [asyncio.create_task(worker(i)) for i in range(50)]
                for _ in range(n % 5):
                    await asyncio.sleep(0)
                for task in tasks[n % 3 :: 2]:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                done += sum(r is None for r in results)
                assert all(r is None or isinstance(r, asyncio.CancelledError) for r in results)
            assert done >= rounds * 25
            for task in (receiver, reader):
                task.cancel()
            await asyncio.gather(receiver, reader, return_exceptions=True)
            # Both directions still work.
            await a.send_direct(b.agent_id, b"last")
            while (await b.recv_direct(timeout=WAIT)).payload != b"last":
                pass
            assert not a._core.operations

    run(main())


def test_a_cancelled_reader_passes_its_message_on(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            first = asyncio.create_task(a.recv_direct())
            second = asyncio.create_task(a.recv_direct())
            await asyncio.sleep(0)
            sent = asyncio.create_task(a.send_direct(a.agent_id, b"x"))
            feed = a._core.direct()
            while not feed.items:
                await asyncio.sleep(0)
            first.cancel()  # told already, but not yet running
            assert (await asyncio.wait_for(second, WAIT)).payload == b"x"
            with pytest.raises(asyncio.CancelledError):
                await first
            await sent

    run(main())


def test_a_cancelled_close_goes_on(where: dict[str, Any]) -> None:
    async def main() -> None:
        a = Agent(**where)
        await a.join_network()
        closing = asyncio.create_task(a.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        while not a.closed:
            await asyncio.sleep(0)
        await a.close()

    run(main())


# -- loops and lifetimes


def test_an_agent_made_before_its_loop(where: dict[str, Any]) -> None:
    a = Agent(**where)
    sub = a.subscribe("t")

    async def main() -> None:
        await a.publish("t", b"x")
        assert (await sub.recv(timeout=WAIT)).payload == b"x"
        await a.close()

    run(main())


def test_a_loop_that_closes_before_its_agent(where: dict[str, Any]) -> None:
    a = Agent(**where)
    sub = a.subscribe("t")

    async def first() -> None:
        await a.publish("t", b"1")
        asyncio.ensure_future(sub.recv())  # will be cancelled with the loop
        asyncio.ensure_future(a.recv_direct())
        await asyncio.sleep(0)

    async def second() -> None:
        await a.publish("t", b"2")
        got = [(await sub.recv(timeout=WAIT)).payload]
        while got[-1] != b"2":
            got.append((await sub.recv(timeout=WAIT)).payload)
        await a.close()

    run(first())
    run(second())


def test_one_agent_belongs_to_one_loop(where: dict[str, Any]) -> None:
    import threading

    async def main() -> None:
        async with Agent(**where) as a:
            failure: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    asyncio.run(a.publish("t", b"x"))
                except RuntimeError as e:
                    failure.append(e)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert "another event loop" in str(failure[0])

    run(main())


def test_loops_in_several_threads(where: dict[str, Any]) -> None:
    import threading

    failures: list[BaseException] = []

    async def main(i: int) -> None:
        async with Agent(**where) as a:
            await a.join_network()
            sub = a.subscribe(f"local:{i}")
            for n in range(200):
                await a.publish(f"local:{i}", b"%d" % n)
                assert (await sub.recv(timeout=WAIT)).payload == b"%d" % n

    def thread(i: int) -> None:
        try:
            run(main(i))
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=thread, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []


def test_a_forgotten_agent_is_closed_and_told_about(where: dict[str, Any]) -> None:
    async def main() -> None:
        a = Agent(**where)
        await a.join_network()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del a
            gc.collect()
        assert [w.category for w in caught] == [ResourceWarning]
        assert "unclosed Agent" in str(caught[0].message)
        for _ in range(2000):  # this loop reads its last record
            if x0x.live_handles() == 0:
                break
            await asyncio.sleep(0.005)
        assert x0x.live_handles() == 0

    run(main())


def test_an_agent_forgotten_with_its_loop(where: dict[str, Any]) -> None:
    async def main() -> None:
        Agent.leaked = Agent(**where)  # type: ignore[attr-defined]

    run(main())
    with pytest.warns(ResourceWarning, match="unclosed Agent"):
        del Agent.leaked  # type: ignore[attr-defined]
        gc.collect()
    eventually(lambda: x0x.live_handles() == 0)


def test_a_subscription_keeps_its_agent(where: dict[str, Any]) -> None:
    async def main() -> None:
        sub = Agent(**where).subscribe("t")
        gc.collect()
        await sub._agent.publish("t", b"x")
        assert (await sub.recv(timeout=WAIT)).payload == b"x"
        await sub._agent.close()

    run(main())


def test_a_forgotten_subscription_is_closed(where: dict[str, Any]) -> None:
    async def main() -> None:
        async with Agent(**where) as a:
            for _ in range(50):
                a.subscribe("t")
            gc.collect()
            assert not a._core.feeds
            assert x0x.live_handles(x0x._abi.X0X_KIND_SUBSCRIPTION) == 0

    run(main())


def test_opening_and_closing_many(where: dict[str, Any]) -> None:
    async def main() -> None:
        for _ in range(20):
            agents = [Agent(**where) for _ in range(5)]
            await asyncio.gather(*(a.join_network() for a in agents))
            await asyncio.gather(*(a.close() for a in agents))
            assert x0x.live_handles() == 0

    run(main())


def test_logs_reach_logging(
    where: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    x0x.bridge_logs(logging.DEBUG)
    with caplog.at_level(logging.DEBUG, logger="x0x"):

        async def main() -> None:
            async with pair(where) as (a, b):
                await a.send_direct(b.agent_id, b"secret payload")
                await b.recv_direct(timeout=WAIT)

        run(main())
        records = eventually(lambda: [r for r in caplog.records if r.name == "x0x"])
    assert all(isinstance(r.x0x, dict) for r in records)
    assert not any("secret payload" in r.getMessage() for r in records)
    x0x.bridge_logs(logging.CRITICAL)
