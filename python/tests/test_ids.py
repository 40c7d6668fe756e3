"""Ids, options and the values that calls give."""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
from typing import Any

import pytest

import x0x
from x0x import AgentId, MachineId, _abi, _msgpack, _options

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("kind", [AgentId, MachineId, x0x.UserId])
def test_an_id_reads_and_shows_hex(kind: type[AgentId]) -> None:
    id = kind.from_hex(HEX.upper())
    assert id == kind(bytes.fromhex(HEX)) == kind.from_string(HEX) == kind.from_str(HEX)
    assert str(id) == id.to_hex() == HEX
    assert repr(id) == f"{kind.__name__}('{HEX[:16]}')"
    assert bytes(id) == id.to_bytes() == bytes.fromhex(HEX)
    assert hash(id) == hash(kind.from_hex(HEX))
    assert pickle.loads(pickle.dumps(id)) == id
    assert sorted([id, kind(bytes(32))])[0] == kind(bytes(32))
    with pytest.raises(AttributeError):
        id._raw = b""
    with pytest.raises(AttributeError):
        id.other = 1


def test_ids_of_different_roles_differ() -> None:
    assert AgentId.from_hex(HEX) != MachineId.from_hex(HEX)
    assert AgentId.from_hex(HEX) != HEX
    with pytest.raises(TypeError):
        AgentId.of(MachineId.from_hex(HEX))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        sorted([AgentId.from_hex(HEX), MachineId.from_hex(HEX)])


@pytest.mark.parametrize("bad", ["", "zz" * 32, HEX[:-1], " " + HEX, "0x" + HEX[2:], HEX + "\n"])
def test_bad_hex(bad: str) -> None:
    with pytest.raises(ValueError) as e:
        AgentId.from_hex(bad)
    assert isinstance(e.value, x0x.InvalidArgumentError)
    assert "Invalid hex encoding" in str(e.value) or "must be 32 bytes" in str(e.value)


@pytest.mark.parametrize("n", [0, 31, 33])
def test_wrong_length(n: int) -> None:
    with pytest.raises(ValueError, match=f"AgentId must be 32 bytes, got {n}"):
        AgentId(bytes(n))
    with pytest.raises(ValueError, match=f"MachineId must be 32 bytes, got {n}"):
        MachineId.from_hex("00" * n)


def test_wrong_types() -> None:
    bad: Any
    for bad in (None, 7, HEX):
        with pytest.raises(TypeError):
            AgentId(bad)
    for bad in (None, 7, [1]):
        with pytest.raises(TypeError):
            AgentId.of(bad)
    with pytest.raises(TypeError):
        AgentId.from_hex(bytes(32))  # type: ignore[arg-type]


# -- options


def test_options_reach_the_struct(tmp_path: Any) -> None:
    queue, agent = _options.structs(
        {
            "name": "alice",
            "home_dir": tmp_path,
            "bootstrap": ["a:1", "b:2"],
            "dial_timeout": 0.0001,
            "close_grace": 2.5,
            "send_timeout": math.inf,
            "accept_from": "known",
            "agent_key": (bytes(1952), b"\1" * 4032),
            "inbox_bytes": 1 << 40,
            "event_limit": 7,
            "local_discovery": False,
            "relay": True,
            "keep_nofile": True,
            "go_gc_percent": -1,
            "active_peers": 4,
            "passive_peers": 9,
            "max_peers_per_address": -1,
            "visibility": "hidden",
            "presence_interval": 0.2,
            "presence_timeout": 60,
        }
    )
    assert (agent.name, agent.home_dir) == (b"alice", os.fsencode(tmp_path))
    assert agent.bootstrap == b"a:1,b:2"
    assert (agent.dial_timeout_ms, agent.close_grace_ms) == (1, 2500)
    assert agent.send_timeout_ms == _abi.X0X_NO_TIMEOUT
    assert agent.accept_from == _abi.X0X_TRUST_KNOWN
    assert agent.agent_key_len == 5984
    assert agent.inbox_bytes == 1 << 40
    assert queue.event_limit == 7
    assert agent.flags == _abi.X0X_OPEN_NO_LOCAL_DISCOVERY | _abi.X0X_OPEN_KEEP_NOFILE
    assert agent.go_gc_percent == -1
    assert (agent.active_peers, agent.passive_peers, agent.max_peers_per_address) == (4, 9, -1)
    assert (agent.visibility, agent.presence_interval_ms) == (_abi.X0X_VISIBLE_NOBODY, 200)
    assert agent.presence_timeout_ms == 60_000
    assert agent.network_id is None


def test_every_option_is_taken() -> None:
    known = set(x0x.AgentOptions.__annotations__)
    fields = {name for name, *_ in _abi.x0x_options._fields_}
    for name in fields - {"size", "flags", "machine_key_len", "agent_key_len", "user_key_len"}:
        assert name.removesuffix("_ms") in known, name


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("name", 7, TypeError),
        ("name", "a\0b", ValueError),
        ("name", "\ud800", ValueError),
        ("network_id", b"bytes", TypeError),
        ("runtime_dir", 7, TypeError),
        ("dial_timeout", "1", TypeError),
        ("dial_timeout", -1, ValueError),
        ("dial_timeout", math.nan, ValueError),
        ("inbox_messages", 0, ValueError),
        ("inbox_messages", 1 << 32, ValueError),
        ("inbox_messages", 1.5, TypeError),
        ("inbox_messages", True, TypeError),
        ("bootstrap", 7, TypeError),
        ("bootstrap", [7], TypeError),
        ("bootstrap", ["a:1,b:2"], ValueError),
        ("agent_key", "text", TypeError),
        ("agent_key", bytes(31), ValueError),
        ("agent_key", (bytes(32), bytes(32)), ValueError),
        ("machine_key", (), ValueError),
        ("accept_from", "blocked", ValueError),
        ("accept_from", "nobody", ValueError),
        ("accept_from", 17, ValueError),
        ("local_discovery", 1, TypeError),
        ("go_gc_percent", "x", TypeError),
        ("active_peers", 0, ValueError),
        ("passive_peers", "6", TypeError),
        ("max_peers_per_address", 0, ValueError),
        ("max_peers_per_address", 1.5, TypeError),
        ("max_peers_per_address", True, TypeError),
        ("max_peers_per_address", 1 << 31, ValueError),
        ("visibility", "invisible", ValueError),
        ("visibility", 3, ValueError),
        ("visibility", True, ValueError),
        ("presence_interval", "1", TypeError),
        ("presence_timeout", -1, ValueError),
        ("no_such_option", 1, TypeError),
    ],
)
def test_bad_options_are_named(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as e:
        x0x.Agent(**{option: value})
    word = "keypair" if isinstance(e.value, ValueError) and "key" in option else option
    if option == "accept_from":
        word = "trust level" if value != "blocked" else option
    assert word in str(e.value)


def test_none_is_the_default() -> None:
    _, agent = _options.structs({"name": None, "relay": None})  # type: ignore[typeddict-item]
    assert agent.name is None and agent.flags == 0


def test_from_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X0X_HOME", "/h")
    monkeypatch.setenv("X0X_RUNTIME_DIR", "/r")
    assert _options.from_env({"runtime_dir": "/mine"}) == {"home_dir": "/h", "runtime_dir": "/mine"}
    monkeypatch.setenv("X0X_HOME", "")
    monkeypatch.delenv("X0X_RUNTIME_DIR")
    assert _options.from_env({}) == {}


def test_the_builder_is_used_up() -> None:
    first = x0x.Agent.builder()
    second = first.with_agent_key(bytes(32))
    with pytest.raises(ValueError, match=r"Builder already consumed by build\(\)"):
        first.with_machine_key("path")
    built = second.build()
    built.close()
    with pytest.raises(ValueError, match=r"Builder already consumed by previous build\(\) call"):
        built = second.build()
    with pytest.raises(x0x.X0XError):
        second.with_name("x")


# -- messages


def message(lag: int = 0) -> x0x.Message:
    meta = _msgpack.pack([bytes.fromhex(HEX), 77, 2, "a topic"])
    m = x0x.Message(b"payload", meta, 5, 1700000000123)
    if lag:
        m._lagged = lag
    return m


def test_a_topic_message() -> None:
    m = message()
    assert m.sender == AgentId.from_hex(HEX)
    assert (m.topic, m.payload, m.payload_str()) == ("a topic", b"payload", "payload")
    assert (m.timestamp, m.timestamp_ms) == (1700000000, 1700000000123)
    assert (m.sequence, m.epoch, m.verified) == (5, 77, True)
    assert m.trust_level is x0x.TrustLevel.KNOWN
    assert m.sender == AgentId.from_hex(HEX), "also after the meta was decoded"
    assert repr(m) == f"Message(sender={HEX}, payload_len=7, timestamp=1700000000)"
    assert (m.lagged, message(3).lagged) == (0, 3)
    assert m == message() and hash(m) == hash(message())
    assert pickle.loads(pickle.dumps(m)) == m
    for name in ("payload", "topic", "sender", "new"):
        with pytest.raises(AttributeError):
            setattr(m, name, 1)


def test_a_direct_message() -> None:
    meta = _msgpack.pack([bytes.fromhex(HEX), bytes(32), 2])
    m = x0x.DirectMessage(b"\xff", meta, 1, 123)
    assert (m.sender, m.machine_id) == (AgentId.from_hex(HEX), MachineId(bytes(32)))
    assert m.trust_decision is x0x.TrustDecision.ACCEPT_WITH_FLAG
    assert str(m.trust_decision) == "AcceptWithFlag"
    assert m.received_at == 123
    with pytest.raises(UnicodeDecodeError):
        m.payload_str()
    assert m != message()


def test_events_read_like_objects_and_like_dicts() -> None:
    e = x0x.ConnectedEvent(1, AgentId(bytes(32)), MachineId.from_hex(HEX), "127.0.0.1:1", "direct")
    assert (e.type, e.peer_id, e["peer_id"], e["agent_id"]) == ("connected", HEX, HEX, "00" * 32)
    assert dict(e)["address"] == "127.0.0.1:1"
    assert e.get("nothing", 5) == 5
    with pytest.raises(KeyError):
        e["__class__"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.address = ""  # type: ignore[misc]


def test_connect_results_are_true_when_connected() -> None:
    assert x0x.ConnectResult(x0x.ConnectOutcome.ALREADY_CONNECTED)
    assert not x0x.ConnectResult(x0x.ConnectOutcome.NOT_FOUND)
    assert x0x.ConnectResult(x0x.ConnectOutcome.DIRECT).outcome == "Direct"
    assert str(x0x.ConnectResult(x0x.ConnectOutcome.UNREACHABLE)) == "Unreachable"


def test_trust_levels_are_ordered_and_named() -> None:
    level = x0x.TrustLevel
    assert level.TRUSTED > level.KNOWN > level.UNKNOWN > level.BLOCKED
    assert level.of("Trusted") is level.of(3) is level.of(level.TRUSTED) is level.TRUSTED
    assert str(level.KNOWN) == "known"
    bad: Any
    for bad in (99, "", None, True, 1.0):
        with pytest.raises(ValueError, match="is not a trust level"):
            level.of(bad)
