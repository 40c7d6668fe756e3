"""The generated tables against the header and the library."""

from __future__ import annotations

import ctypes
import hashlib
import re
import struct
from pathlib import Path

import x0x
from x0x import _abi, _drain, _lib, _types

ROOT = Path(__file__).resolve().parents[2]
HEADER = (ROOT / "include" / "x0x.h").read_text(encoding="utf-8")


def test_tables_are_those_of_this_header() -> None:
    assert hashlib.sha256(HEADER.encode()).hexdigest()[:16] == _abi.SCHEMA_HASH


def test_every_enumerator_has_its_number() -> None:
    found = re.findall(r"^\s+(X0X_\w+) = (-?\d+),?", HEADER, re.MULTILINE)
    assert len(found) > 60
    for name, value in found:
        assert getattr(_abi, name) == int(value), name


def test_the_library_has_every_function_and_this_version() -> None:
    lib = _lib.library()
    declared = set(re.findall(r"X0X_API [^;(]*?\b(x0x_\w+)\(", HEADER))
    assert declared == set(_abi.FUNCTIONS)
    for name in declared:
        assert getattr(lib, name).restype is not None
    assert lib.x0x_abi_version() >> 16 == _abi.X0X_ABI_MAJOR
    assert lib.x0x_version().decode() == x0x.__version__
    assert x0x.__version__ in x0x.build_info()


def test_record_header_matches_the_struct() -> None:
    record = _abi.x0x_record
    assert ctypes.sizeof(record) == _drain.RECORD.size == 40
    raw = bytes(range(40))
    fields = record.from_buffer_copy(raw)
    names = ("bytes", "kind", "flags", "id", "seq", "unix_ms", "meta_len", "payload_len")
    assert _drain.RECORD.unpack(raw) == tuple(getattr(fields, name) for name in names)
    assert struct.calcsize("<IHHQQQII") == 40


def test_every_status_has_its_class() -> None:
    for status, name in _abi.STATUS_NAMES.items():
        if status < 0:
            error = x0x._errors.error(status, "text")
            assert error.code == name
            assert type(error).__name__ in x0x.__all__
            assert str(error) == "text"
            # X0X_E_BAD_HANDLE is BadHandleError.
            plain = name[len("X0X_E_") :].replace("_", "").lower() + "error"
            assert type(error).__name__.lower() == plain
            assert lib_name(status) == name


def lib_name(status: int) -> str:
    return str(_lib.library().x0x_status_name(status).decode())


def test_enums_cover_the_header() -> None:
    assert set(_types.DECISIONS.values()) == set(x0x.TrustDecision)
    assert {*_types.OUTCOMES.values(), x0x.ConnectOutcome.UNKNOWN} == set(x0x.ConnectOutcome)
    assert set(_types.POLICIES) == set(x0x.DropPolicy)
    priorities = re.findall(r"X0X_PRIORITY_(\w+) = (\d)", HEADER)
    assert {name: int(n) for name, n in priorities} == {
        p.name: n for p, n in _types.PRIORITIES.items()
    }
    visible = re.findall(r"X0X_VISIBLE_(\w+) = (\d)", HEADER)
    assert [int(n) for _, n in visible] == list(_types.VISIBILITIES.values())
    assert set(_types.VISIBILITIES) == set(x0x.Visibility)
    assert [x0x.Visibility.of(n) for n in range(3)] == list(x0x.Visibility)
    sources = re.findall(r"X0X_SOURCE_(\w+) = (\d)", HEADER)
    assert {int(n): name for name, n in sources} == {n: s.name for n, s in _types.SOURCES.items()}
    levels = re.findall(r"X0X_TRUST_(\w+) = (\d)", HEADER)
    assert {name: int(n) for name, n in levels} == {m.name: m.value for m in x0x.TrustLevel}


def test_rows_may_grow() -> None:
    """What a newer library appends to a row of the mesh, or names anew, is passed over."""
    link = [bytes(32), True, False, None, 0, 5, 6, "new"]
    mesh = _types.topic_mesh_of([b"\1" * 32, "", 77, 0, 1, 2, [link], "new"])
    assert mesh.priority is x0x.TopicPriority.NORMAL and mesh.topic_id == "01" * 32
    assert mesh.links == (x0x.TopicLink(x0x.AgentId(bytes(32)), True, False, None, None, 5, 6),)
    assert str(mesh).splitlines() == [
        "relayed 0101010101010101: normal priority, 0 subscriptions, 1 retained, 2 missing",
        "  0000000000000000  eager  nobody subscribes          ? ms  5 first, 6 duplicate",
    ]


def test_presence_rows_and_events() -> None:
    """Every event of the header but messages and logs is one here, with what it says."""
    agent, machine = b"\1" * 32, b"\2" * 32
    ids = (x0x.AgentId(agent), x0x.MachineId(machine))
    row = [agent, machine, ["[2001:db8::1]:5"], 1500, _abi.X0X_SOURCE_FOAF, True, "new"]
    entry = _types.presence_of(row)
    assert entry == x0x.PresenceEntry(
        *ids, ("[2001:db8::1]:5",), 1500, x0x.PresenceSource.FOAF, True
    )
    assert entry and entry.last_seen == 1.5 and entry.source == "foaf"
    absent = _types.presence_of([agent, machine, [], 0, _abi.X0X_SOURCE_DIRECT, False])
    assert not absent and absent.last_seen is None and absent.source is x0x.PresenceSource.DIRECT

    event_of = _types.event_of
    conflict = event_of(_abi.X0X_R_IDENTITY_CONFLICT, [agent, machine, "a:1"], 7)
    assert conflict == x0x.IdentityConflictEvent(7, *ids, "a:1")
    assert conflict["peer_id"] == machine.hex()
    online = event_of(_abi.X0X_R_AGENT_ONLINE, [agent, machine, None], 7)
    assert online == x0x.AgentOnlineEvent(7, *ids)
    offline = event_of(_abi.X0X_R_AGENT_OFFLINE, [agent, machine], 7)
    assert offline == x0x.AgentOfflineEvent(7, *ids)
    assert event_of(9999, [], 7) is None


def test_unknown_numbers_fall_back() -> None:
    assert x0x.TrustLevel(99) is x0x.TrustLevel.UNKNOWN
    assert x0x._errors.error(-999, "new").code == "X0X_E_UNKNOWN"
    assert type(x0x._errors.error(-999)) is x0x.X0XError
