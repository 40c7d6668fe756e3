"""Runs the shared scenario list include/scenarios.json against the asyncio Agent.

    python tests/run_scenarios.py [FILE] [--only TEXT]

Prints `scenario NAME ok` for each and a closing line of counts; the exit status is 0 only if
all passed. The same list runs from Go, C, the purego bindings and Node.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import re
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import x0x

DEFAULT = Path(__file__).resolve().parents[2] / "include" / "scenarios.json"
TIMEOUT = 20.0  # of every step that waits, unless it says otherwise
EVENTS = (
    "connected",
    "disconnected",
    "peer_joined",
    "error",
    "session_reset",
    "contact_changed",
    "identity_conflict",
    "agent_online",
    "agent_offline",
    "lagged",
    "fatal",
)


class Failure(Exception):
    """An expectation that did not hold."""


def kind_of(error: x0x.X0XError) -> str:
    return re.sub("^X0X_E_", "", error.code).lower()


class Actor:
    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.options = options
        self.agent: x0x.Agent | None = None
        self.subs: dict[str, x0x.Subscription] = {}
        self.returned: dict[str, x0x.Message] = {}  # read to see its lag, not yet handed out
        self.events: collections.deque[Any] = collections.deque()
        self.changed = asyncio.Event()

    def open(self) -> None:
        self.agent = x0x.Agent(**self.options)
        for event in EVENTS:
            self.agent.on(event, self.happened)

    def happened(self, event: Any) -> None:
        self.events.append(event)
        self.changed.set()

    @property
    def up(self) -> x0x.Agent:
        if self.agent is None:
            raise Failure(f"agent {self.name} is not open")
        return self.agent

    async def wait_for(self, ready: Any, timeout: float, what: str) -> Any:
        """The first true value of ready(), which is asked whenever an event arrives."""
        end = time.monotonic() + timeout
        while True:
            self.changed.clear()
            value = ready()
            if value:
                return value
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"{what} did not happen within {timeout} s")
            try:
                # Bounded: not everything that is waited for has an event of its own.
                await asyncio.wait_for(self.changed.wait(), min(left, 0.1))
            except asyncio.TimeoutError:
                pass


class Scenario:
    def __init__(self, spec: dict[str, Any], folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.network = f"x0x.scenario.{uuid.uuid4()}"
        self.actors: dict[str, Actor] = {}
        self.vars: dict[str, dict[str, Any]] = {}
        self.kept: dict[str, Any] = {}  # signatures and links by the names that steps give

    async def run(self) -> None:
        (self.folder / "run").mkdir(mode=0o700)
        try:
            for name, given in self.spec["agents"].items():
                actor = Actor(name, given)
                self.actors[name] = actor
                if given.get("open", True):
                    actor.options = self.options(given)
                    actor.open()
            for i, step in enumerate(self.spec["steps"], 1):
                try:
                    await self.step(step)
                except Exception as e:
                    raise Failure(
                        f"step {i} {json.dumps(step)[:200]}: {type(e).__name__}: {e}"
                    ) from e
        finally:
            for actor in self.actors.values():
                if actor.agent is not None:
                    await actor.agent.close()
        if x0x.live_handles() != 0:
            raise Failure(f"{x0x.live_handles()} handles are still open")

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        options: dict[str, Any] = {
            "runtime_dir": str(self.folder / "run"),
            "network_id": self.network,
        }
        for name, value in given.items():
            if name == "open":
                continue
            if name == "network":
                options["network_id"] = f"{self.network}.{value}"
            elif name in ("machine_key", "agent_key", "user_key"):
                options[name] = payload_of(value)
            elif name == "no_local_discovery":
                options["local_discovery"] = not value
            elif name == "no_relay":
                options["relay"] = not value
            elif name.endswith("_ms"):
                options[name[:-3]] = value / 1000
            else:
                options[name] = self.text(value) if isinstance(value, str) else value
        return options

    def text(self, value: str) -> str:
        value = value.replace("$TMP", str(self.folder))
        match = re.fullmatch(r"\$(\w+)\.address", value)
        if match and match.group(1) in self.actors:
            return self.actors[match.group(1)].up.local_addresses()[0]
        return value

    def value(self, value: Any) -> Any:
        """What an id stands for: @b, @b.machine, $var.field or bytes in hex."""
        if isinstance(value, dict) and "hex" in value:
            return bytes.fromhex(value["hex"])
        if isinstance(value, str) and value.startswith("@"):
            name, _, field = value[1:].partition(".")
            agent = self.actors[name].up
            return bytes(agent.machine_id if field == "machine" else agent.agent_id)
        if isinstance(value, str) and value.startswith("$"):
            name, _, field = value[1:].partition(".")
            return self.vars[name][field]
        return value

    async def step(self, step: dict[str, Any]) -> None:
        actor = self.actors[step["actor"]]
        args = step.get("args", {})
        timeout = step.get("timeout_ms", args.get("timeout_ms", TIMEOUT * 1000)) / 1000
        call = getattr(self, "do_" + step["call"], None)
        if call is None:
            raise Failure(f"unknown call {step['call']!r}")
        wanted = step.get("error")
        try:
            result = await call(actor, args, timeout) or {}
        except x0x.X0XError as e:
            if wanted is None:
                raise
            if kind_of(e) != wanted:
                raise Failure(f"failed with {kind_of(e)} ({e}), not {wanted}") from e
            return
        if wanted is not None:
            raise Failure(f"succeeded with {short(result)}; {wanted} was expected")
        if "save" in step:
            self.vars[step["save"]] = result
        for name, expected in step.get("expect", {}).items():
            if name not in result:
                raise Failure(f"the result has no {name}: {short(result)}")
            got = result[name]
            if isinstance(got, bytes):
                if name == "payload":
                    good = got == payload_of(expected)
                else:
                    good = got == self.value(expected)
            elif isinstance(expected, list):
                good = got in expected
            else:
                good = got == expected
            if not good:
                raise Failure(f"{name} is {short(got)}, not {short(expected)}")

    # -- calls

    async def do_open(self, a: Actor, args: Any, timeout: float) -> None:
        a.options = self.options(a.options)
        a.open()

    async def do_join(self, a: Actor, args: Any, timeout: float) -> None:
        await a.up.join_network(timeout=timeout)

    async def do_leave(self, a: Actor, args: Any, timeout: float) -> None:
        await a.up.leave_network(timeout=timeout)

    async def do_close(self, a: Actor, args: Any, timeout: float) -> None:
        await a.up.close()

    async def do_identity(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"agent_id": bytes(a.up.agent_id), "machine_id": bytes(a.up.machine_id)}

    async def do_is_connected(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"connected": a.up.is_connected()}

    async def do_is_agent_connected(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"connected": a.up.is_agent_connected(self.value(args["agent"]))}

    async def do_connect_agent(self, a: Actor, args: Any, timeout: float) -> Any:
        result = await a.up.connect_to_agent(self.value(args["agent"]), timeout=timeout)
        return {"outcome": str(result.outcome)}

    async def do_connect_machine(self, a: Actor, args: Any, timeout: float) -> Any:
        result = await a.up.connect_to_machine(self.value(args["machine"]), timeout=timeout)
        return {"outcome": str(result.outcome)}

    async def do_connect_address(self, a: Actor, args: Any, timeout: float) -> Any:
        address = args.get("address") or self.actors[args["of"]].up.local_addresses()[0]
        peer = await a.up.connect_to_address(address, timeout=timeout)
        return {"agent_id": bytes(peer.agent_id), "machine_id": bytes(peer.machine_id)}

    async def do_add_peer(self, a: Actor, args: Any, timeout: float) -> None:
        other = self.actors[args["of"]].up
        a.up.add_peer(other.machine_id, other.local_addresses())

    async def do_publish(self, a: Actor, args: Any, timeout: float) -> None:
        topic, payload = text_of(args["topic"]), payload_of(args["payload"])
        if not args.get("wait", True):
            await a.up.publish(topic, payload, wait=False)
            return
        if "count" not in args:
            await a.up.publish(topic, payload, timeout=timeout)
            return
        for i in range(args["count"]):
            await a.up.publish(topic, payload + b"-%d" % i, timeout=timeout)

    async def do_subscribe(self, a: Actor, args: Any, timeout: float) -> None:
        options: dict[str, Any] = {}
        for name in ("replay", "max_messages", "max_bytes", "policy"):
            if name in args:
                options[name] = args[name]
        # "paused" needs nothing: a subscription is filled when it is read.
        a.subs[args["as"]] = a.up.subscribe(text_of(args["topic"]), **options)

    async def do_unsubscribe(self, a: Actor, args: Any, timeout: float) -> None:
        a.subs[args["sub"]].close()

    async def next(self, a: Actor, sub: str, timeout: float) -> x0x.Message:
        returned = a.returned.pop(sub, None)
        return returned or await a.subs[sub].recv(timeout=timeout)

    async def do_next(self, a: Actor, args: Any, timeout: float) -> Any:
        sub = args["sub"]
        seen = sub in a.returned
        m = await self.next(a, sub, timeout)
        if m.lagged and not seen:
            # The list reads a gap as an item of its own; here it is told with the message
            # that follows it.
            a.returned[sub] = m
            return {"lagged": m.lagged}
        return message_fields(m)

    async def do_next_many(self, a: Actor, args: Any, timeout: float) -> None:
        end = time.monotonic() + timeout
        first = args.get("first", 0)
        for i in range(first, first + args["count"]):
            m = await self.next(a, args["sub"], max(0.001, end - time.monotonic()))
            expected = payload_of(args["payload"]) + b"-%d" % i
            if m.payload != expected:
                raise Failure(f"message {i} is {short(m.payload)}, not {short(expected)}")

    async def do_no_message(self, a: Actor, args: Any, timeout: float) -> None:
        try:
            m = await a.subs[args["sub"]].recv(timeout=args["for_ms"] / 1000)
        except x0x.TimeoutError:
            return
        raise Failure(f"there was a message: {short(m.payload)}")

    async def do_send(self, a: Actor, args: Any, timeout: float) -> Any:
        to, payload = self.value(args["to"]), payload_of(args["payload"])
        options: dict[str, Any] = {
            "timeout": timeout,
            "ordered": not args.get("unordered", False),
            "on_disconnect": "fail" if args.get("fail_on_disconnect") else "wait",
        }
        if "count" not in args:
            receipt = await a.up.send_direct(to, payload, **options)
            return {"path": receipt.path, "sequence": receipt.sequence}
        receipts = await asyncio.gather(
            *(
                a.up.send_direct(to, payload + b"-%d" % i, **options)
                for i in range(args["count"])
            )
        )
        return {"path": receipts[-1].path}

    async def do_recv(self, a: Actor, args: Any, timeout: float) -> Any:
        m = await a.up.recv_direct(timeout=timeout)
        return {
            "payload": m.payload,
            "sender": bytes(m.sender),
            "machine_id": bytes(m.machine_id),
            "sequence": m.sequence,
            "trust_decision": str(m.trust_decision),
        }

    async def do_recv_many(self, a: Actor, args: Any, timeout: float) -> None:
        end = time.monotonic() + timeout
        got: list[bytes] = []
        while len(got) < args["count"]:
            left = args["count"] - len(got)
            batch = await a.up.recv_direct_many(left, timeout=max(0.001, end - time.monotonic()))
            got += [m.payload for m in batch]
        for i, payload in enumerate(got):
            expected = payload_of(args["payload"]) + b"-%d" % i
            if payload != expected:
                raise Failure(f"message {i} is {short(payload)}, not {short(expected)}")

    async def do_no_direct(self, a: Actor, args: Any, timeout: float) -> None:
        try:
            m = await a.up.recv_direct(timeout=args["for_ms"] / 1000)
        except x0x.TimeoutError:
            return
        raise Failure(f"there was a message: {short(m.payload)}")

    async def do_set_trust(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.set_trust(self.value(args["agent"]), args["level"])

    async def do_trust(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"level": str(a.up.trust(self.value(args["agent"])))}

    async def do_contacts(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(a.up.contacts())}

    async def do_sign(self, a: Actor, args: Any, timeout: float) -> Any:
        signature = a.up.sign(args["context"], payload_of(args["payload"]))
        self.kept[args["as"]] = signature
        return {"size": len(signature)}

    async def do_verify(self, a: Actor, args: Any, timeout: float) -> None:
        signature = self.kept.get(args["signature"], args["signature"].encode())
        a.up.verify(
            self.value(args["agent"]), args["context"], payload_of(args["payload"]), signature
        )

    async def do_identity_words(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"words": a.up.identity_words(self.value(args["agent"]))}

    async def do_card(self, a: Actor, args: Any, timeout: float) -> None:
        self.kept[args["as"]] = a.up.card(
            args.get("display_name", ""),
            groups=[("g", "i")],
            stores=[x0x.CardStore("s", "t")],
            include_user=args.get("include_user", False),
            human_consent=args.get("human_consent", False),
        )

    async def do_import_card(self, a: Actor, args: Any, timeout: float) -> Any:
        link = self.kept.get(args["link"], args["link"])
        card = a.up.import_card(link, args.get("level", "known"))
        return {
            "agent": bytes(card.agent_id),
            "added": card.added,
            "level": str(card.trust_level),
            "display_name": card.display_name,
            "user": card.user_id is not None,
            "addresses": len(card.addresses),
            "groups": len(card.groups),
            "stores": len(card.stores),
        }

    async def do_certificate(self, a: Actor, args: Any, timeout: float) -> Any:
        certificate = a.up.certificate()
        if (certificate and certificate.user_id) != a.up.user_id:
            raise Failure("certificate and user id disagree")
        return {"exists": certificate is not None}

    async def do_contact(self, a: Actor, args: Any, timeout: float) -> Any:
        contact = a.up.contact(self.value(args["agent"]))
        if contact is None:
            return {"exists": False}
        machines = a.up.machines(self.value(args["agent"]))
        return {
            "exists": True,
            "level": str(contact.trust_level),
            "label": contact.label,
            "identity_type": str(contact.identity_type),
            "machines": len(machines),
            "pinned": sum(m.pinned for m in machines),
        }

    async def do_add_contact(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.add_contact(self.value(args["agent"]), args["level"], args.get("label", ""))

    async def do_set_label(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.set_label(self.value(args["agent"]), args["label"])

    async def do_set_identity_type(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.set_identity_type(self.value(args["agent"]), args["identity_type"])

    async def do_add_machine(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.add_machine(
            self.value(args["agent"]), self.value(args["machine"]), args.get("label", "")
        )

    async def do_remove_machine(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.remove_machine(self.value(args["agent"]), self.value(args["machine"]))

    async def do_pin_machine(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.pin_machine(self.value(args["agent"]), self.value(args["machine"]))

    async def do_unpin_machine(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.unpin_machine(self.value(args["agent"]), self.value(args["machine"]))

    async def do_evaluate_trust(self, a: Actor, args: Any, timeout: float) -> Any:
        machine = self.value(args["machine"]) if "machine" in args else None
        return {"decision": str(a.up.evaluate_trust(self.value(args["agent"]), machine))}

    async def do_remove_contact(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"existed": a.up.remove_contact(self.value(args["agent"]))}

    async def do_peers(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(a.up.peers())}

    async def do_wait_peers(self, a: Actor, args: Any, timeout: float) -> None:
        await a.wait_for(
            lambda: len(a.up.peers()) >= args["count"], timeout, f"{args['count']} peers"
        )

    async def do_presence(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(a.up.presence())}

    async def do_wait_presence(self, a: Actor, args: Any, timeout: float) -> None:
        await a.wait_for(
            lambda: len(a.up.presence()) == args["count"], timeout, f"{args['count']} online"
        )

    async def do_presence_status(self, a: Actor, args: Any, timeout: float) -> Any:
        entry = a.up.presence_status(self.value(args["agent"]))
        if entry is None:
            return {"exists": False}
        return {
            "exists": True,
            "online": entry.online,
            "machine_id": bytes(entry.machine_id),
            "source": str(entry.source),
        }

    async def do_presence_foaf(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(await a.up.presence_foaf(**walk_of(args)))}

    async def do_find_presence(self, a: Actor, args: Any, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not await a.up.find_presence(self.value(args["agent"]), **walk_of(args)):
            if time.monotonic() > end:
                raise Failure(f"no walk found it within {timeout} s")
            await asyncio.sleep(0.05)

    async def do_watch_presence(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.watch_presence(self.value(args["agent"]))

    async def do_unwatch_presence(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.unwatch_presence(self.value(args["agent"]))

    async def do_set_topic_priority(self, a: Actor, args: Any, timeout: float) -> None:
        a.up.set_topic_priority(text_of(args["topic"]), args["priority"])

    async def do_neighbors(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(a.up.neighbors())}

    async def do_wait_neighbor(self, a: Actor, args: Any, timeout: float) -> Any:
        wanted = x0x.AgentId(self.value(args["agent"]))
        await a.wait_for(lambda: wanted in a.up.neighbors(), timeout, f"the neighbour {wanted}")
        return {"count": len(a.up.neighbors())}

    async def do_known_peers(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"count": len(a.up.known_peers())}

    async def do_wait_link(self, a: Actor, args: Any, timeout: float) -> Any:
        topic, wanted = text_of(args["topic"]), x0x.AgentId(self.value(args["agent"]))

        def found() -> Any:
            for mesh in a.up.topic_mesh():
                for link in mesh.links:
                    if mesh.name == topic and link.agent_id == wanted and link.interested:
                        return mesh, link
            return None

        mesh, link = await a.wait_for(found, timeout, f"a link of {topic}")
        return {
            "eager": link.eager,
            "carries": link.carries,
            "distance": link.distance,
            "priority": str(mesh.priority),
            "subscriptions": mesh.subscriptions,
        }

    async def do_gossip_stats(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"value": a.up.gossip_stats()[args["name"]]}

    async def do_set_events(self, a: Actor, args: Any, timeout: float) -> None:
        if args["mask"] & 2:
            a.up.on("message", a.happened)
        else:
            a.up.off("message", a.happened)

    async def do_event(self, a: Actor, args: Any, timeout: float) -> Any:
        def wanted() -> Any:
            while a.events:
                event = a.events.popleft()
                name = "message" if isinstance(event, x0x.Message) else event.type
                if name == args["name"]:
                    return event
            return None

        event = await a.wait_for(wanted, timeout, f"the event {args['name']}")
        if isinstance(event, x0x.Message):
            return {"agent": bytes(event.sender), **message_fields(event)}
        ids = {"agent": "agent_id", "machine_id": "machine_id"}
        found = {name: getattr(event, field, None) for name, field in ids.items()}
        return {name: bytes(value) for name, value in found.items() if value is not None}

    async def do_subscription_info(self, a: Actor, args: Any, timeout: float) -> Any:
        sub = a.subs[args["sub"]]
        return {"topic": sub.topic, "pending": sub.pending, "dropped": sub.lagged}

    async def do_inbox_info(self, a: Actor, args: Any, timeout: float) -> Any:
        return {"pending": a.up.direct_pending}

    async def do_stats(self, a: Actor, args: Any, timeout: float) -> Any:
        value = a.up.stats()[args["name"]]
        if value < args.get("at_least", 0):
            raise Failure(f"{args['name']} is {value}")
        return {"value": value}


def walk_of(args: Any) -> dict[str, Any]:
    """The arguments of a walk, where the list gives them."""
    walk: dict[str, Any] = {}
    if "ttl" in args:
        walk["ttl"] = args["ttl"]
    if "timeout_ms" in args:
        walk["timeout"] = args["timeout_ms"] / 1000
    return walk


def message_fields(m: x0x.Message) -> dict[str, Any]:
    return {
        "payload": m.payload,
        "sender": bytes(m.sender),
        "topic": m.topic,
        "sequence": m.sequence,
        "trust_level": str(m.trust_level),
    }


def payload_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    if "repeat" in value:
        return str(value["repeat"]).encode() * int(value["times"])
    seed, size = value["random"], value["size"]
    # Byte i depends on i mod 2^16 only (the shift repeats after that): build one period.
    period = bytes(
        (int(seed) * 31 + i * 7 + (i >> 8) * 13) & 255 for i in range(min(size, 1 << 16))
    )
    payload: bytes = (period * (size // max(1, len(period)) + 1))[:size]
    return payload


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else payload_of(value).decode()


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)})"


def load(path: Path) -> list[dict[str, Any]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["version"] != 1:
        raise SystemExit(f"{path} has version {data['version']}, this runner knows 1")
    return list(data["scenarios"])


def run(spec: dict[str, Any]) -> None:
    """Run one scenario; raises Failure."""
    with tempfile.TemporaryDirectory(prefix="x0x-scenario-") as folder:
        asyncio.run(Scenario(spec, Path(folder)).run())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--only", default="", help="run the scenarios whose name contains this")
    options = parser.parse_args()
    passed = failed = 0
    for spec in load(options.file):
        if options.only not in spec["name"]:
            continue
        try:
            run(spec)
        except Exception as e:
            failed += 1
            print(f"scenario {spec['name']} FAILED: {e}", flush=True)
        else:
            passed += 1
            print(f"scenario {spec['name']} ok", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
