"""The options of an agent, checked and put into the structs of the C ABI."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterable
from typing import Any, TypeAlias, TypedDict, Union

from . import _abi
from ._errors import InvalidArgumentError
from ._types import VISIBILITIES, TrustLevel, Visibility

StrPath: TypeAlias = "Union[str, os.PathLike[str]]"
KeyMaterial: TypeAlias = "Union[bytes, tuple[bytes, bytes]]"


class AgentOptions(TypedDict, total=False):
    """What Agent(...) takes. Leave out what should be the default; times are in seconds."""

    name: str
    """A persistent identity: 'alice' is HOME/.x0x-alice, 'default' HOME/.x0x. Without it and
    without identity_dir and keys, the identity is fresh and lives in memory."""
    home_dir: StrPath
    """HOME for `name`; the home folder of the user if left out."""
    identity_dir: StrPath
    """A persistent identity in this folder instead of HOME/.x0x-NAME."""
    runtime_dir: StrPath
    """The folder in which the agents of one user on one machine find each other."""
    network_id: str
    """Agents of different networks never connect; 'x0x.prod' if left out."""
    bind: str
    """UDP 'host:port'; any port on all addresses if left out."""
    bootstrap: str | Iterable[str]
    """'host:port' of agents to try first: hints only."""
    machine_key_path: StrPath
    agent_key_path: StrPath
    """Existing key files."""
    machine_key: KeyMaterial
    agent_key: KeyMaterial
    """A 6,000-byte key file image, a 32-byte seed, or (public, secret) of 1,952 and 4,032."""
    contacts_path: StrPath
    """The file of contacts, used by one agent at a time. Left out: contacts.json in the
    identity folder, and in memory without one."""
    user_key_path: StrPath
    """An existing key file of the person behind the agent; never made by the library."""
    user_key: KeyMaterial
    """The same as bytes."""
    dial_timeout: float
    """One try to one address; 8."""
    send_timeout: float
    """The timeout of send_direct; 10."""
    peer_timeout: float
    """Silence after which a connection with something unacknowledged is given up; 1."""
    session_ttl: float
    """How long a lost session can resume; 60."""
    close_grace: float
    """How long close() waits for sends in flight; 2."""
    accept_from: TrustLevel | str
    """The least trust level whose direct messages are delivered; anyone who is not blocked."""
    inbox_messages: int
    """Direct messages that wait to be received before their senders wait; 1,024."""
    inbox_bytes: int
    """The same in bytes; 32 MiB."""
    max_operations: int
    """Operations in flight before BusyError; 4,096."""
    max_peers: int
    """Connections; 1,024."""
    active_peers: int
    """How many of them topics go through; 6, at most 64."""
    passive_peers: int
    """Agents remembered to take the place of one of those when it is lost; 30, at most 1,024."""
    max_peers_per_address: int
    """Active peers at one IPv4 address or IPv6 /64, so that one machine with many identities
    cannot surround this agent; 3, negative for no bound. Those on this machine do not count."""
    visibility: Visibility | str | int
    """To whom this agent says that it is online: 'network', 'social' (contacts only) or 'hidden'
    (0, 1, 2); 'network'."""
    presence_interval: float
    """How often it says so; 30."""
    presence_timeout: float
    """Silence after which another agent is offline at the latest; 300. Usually its own rhythm
    tells sooner."""
    event_limit: int
    """Events kept before the oldest is dropped; 1,024."""
    local_discovery: bool
    """Whether to find, and be found by, other agents of this user on this machine; True."""
    relay: bool
    """Whether to carry topics that this agent does not subscribe to; True."""
    keep_nofile: bool
    """Leave the limit of open files as the Go runtime raised it; False."""
    go_max_procs: int
    go_gc_percent: int
    go_memory_limit: int
    """Threads, garbage collector target and soft memory limit of the library; they concern
    the whole process, and the last agent that gives one wins."""


_TEXTS = ("name", "network_id", "bind")
_PATHS = (
    "home_dir",
    "identity_dir",
    "runtime_dir",
    "machine_key_path",
    "agent_key_path",
    "user_key_path",
    "contacts_path",
)
_TIMES = (
    "dial_timeout",
    "send_timeout",
    "peer_timeout",
    "session_ttl",
    "close_grace",
    "presence_interval",
    "presence_timeout",
)
_COUNTS = {
    "inbox_messages": 32,
    "inbox_bytes": 64,
    "max_operations": 32,
    "max_peers": 32,
    "active_peers": 32,
    "passive_peers": 32,
    "event_limit": 32,
    "go_max_procs": 32,
    "go_memory_limit": 64,
}
_FLAGS = {
    # option -> (its default, the flag that says otherwise)
    "local_discovery": (True, _abi.X0X_OPEN_NO_LOCAL_DISCOVERY),
    "relay": (True, _abi.X0X_OPEN_NO_RELAY),
    "keep_nofile": (False, _abi.X0X_OPEN_KEEP_NOFILE),
}


def structs(options: AgentOptions) -> tuple[_abi.x0x_queue_options, _abi.x0x_options]:
    """The C structs of some options. Raises TypeError and InvalidArgumentError."""
    queue = _abi.x0x_queue_options(size=ctypes.sizeof(_abi.x0x_queue_options))
    agent = _abi.x0x_options(size=ctypes.sizeof(_abi.x0x_options))
    value: Any
    for name, value in options.items():
        if value is None:
            continue
        if name in _TEXTS:
            setattr(agent, name, text(name, value))
        elif name in _PATHS:
            setattr(agent, name, text(name, _path(name, value)))
        elif name in _TIMES:
            setattr(agent, name + "_ms", milliseconds(value, name))
        elif name in _COUNTS:
            bits = _COUNTS[name]
            setattr(queue if name == "event_limit" else agent, name, count(name, value, bits))
        elif name in _FLAGS:
            default, flag = _FLAGS[name]
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be bool, not {type(value).__name__}")
            agent.flags |= flag if value is not default else 0
        elif name == "bootstrap":
            hosts = value if isinstance(value, str) else ",".join(_hosts(value))
            agent.bootstrap = text(name, hosts)
        elif name in ("machine_key", "agent_key", "user_key"):
            key = _key(name, value)
            setattr(agent, name, key)
            setattr(agent, name + "_len", len(key))
        elif name == "accept_from":
            level = TrustLevel.of(value)
            if level is TrustLevel.BLOCKED:
                raise InvalidArgumentError("accept_from cannot be 'blocked'")
            # UNKNOWN, the least that can be accepted, is the default.
            agent.accept_from = 0 if level is TrustLevel.UNKNOWN else int(level)
        elif name == "visibility":
            agent.visibility = VISIBILITIES[Visibility.of(value)]
        elif name in ("go_gc_percent", "max_peers_per_address"):
            if value == 0 and name == "max_peers_per_address":
                raise InvalidArgumentError(f"{name} must be positive, or negative for no bound")
            setattr(agent, name, _signed(name, value))
        else:
            raise TypeError(f"Agent has no option {name!r}")
    return queue, agent


def text(name: str, value: Any) -> bytes:
    """UTF-8 for a C string."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if "\0" in value:
        raise InvalidArgumentError(f"{name} contains a NUL")
    try:
        return value.encode()
    except UnicodeEncodeError as e:
        raise InvalidArgumentError(f"{name} is not valid Unicode: {e.reason}") from None


def milliseconds(seconds: float | None, name: str = "timeout") -> int:
    """A timeout for the library: None is its default, infinity no limit, 0 as short as can be."""
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgumentError(f"{name} must not be negative, got {seconds}")
    if seconds * 1000 > _abi.X0X_NO_WAIT - 1:
        return _abi.X0X_NO_TIMEOUT
    return max(1, math.ceil(seconds * 1000))


def count(name: str, value: Any, bits: int = 32) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    # The largest 32-bit number means something else in several places.
    if not 0 < value < (1 << bits) - 1:
        raise InvalidArgumentError(f"{name} must be positive and below 2^{bits} - 1, got {value}")
    return value


def _signed(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not -(1 << 31) <= value < 1 << 31:
        raise InvalidArgumentError(f"{name} must fit 32 bits, got {value}")
    return value


def payload_bytes(payload: bytes | bytearray | memoryview) -> bytes:
    if type(payload) is bytes:
        return payload
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    hint = ": encode it, as in text.encode()" if isinstance(payload, str) else ""
    raise TypeError(f"payload must be bytes, not {type(payload).__name__}{hint}")


def _path(name: str, value: Any) -> str:
    try:
        path = os.fspath(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, not {type(value).__name__}") from None
    return os.fsdecode(path)


def _hosts(value: Any) -> list[str]:
    if not isinstance(value, Iterable):
        raise TypeError(f"bootstrap must be str or several, not {type(value).__name__}")
    hosts = list(value)
    for host in hosts:
        if not isinstance(host, str):
            raise TypeError(f"bootstrap must hold str, not {type(host).__name__}")
        if "," in host:
            raise InvalidArgumentError(f"bootstrap address {host!r} contains a comma")
    return hosts


def _key(name: str, value: Any) -> bytes:
    kind = name.replace("_key", "")
    parts = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, (bytes, bytearray, memoryview)) for part in parts):
        raise TypeError(f"{name} must be bytes, or a tuple of public and secret key")
    lengths = [len(part) for part in parts]
    if lengths not in ([6000], [32], [5984], [1952, 4032]):
        # The library says the same; a wrong length is worth finding before it.
        raise InvalidArgumentError(
            f"Invalid {kind} keypair: expected a key file of 6000 bytes, a seed of 32, or a "
            f"public and a secret key of 1952 and 4032, got {' and '.join(map(str, lengths))}"
        )
    return b"".join(bytes(part) for part in parts)


def from_env(options: AgentOptions) -> AgentOptions:
    """`options`, and where they are silent X0X_HOME and X0X_RUNTIME_DIR of the environment."""
    found: AgentOptions = {}
    home, runtime = os.environ.get("X0X_HOME"), os.environ.get("X0X_RUNTIME_DIR")
    if home:
        found["home_dir"] = home
    if runtime:
        found["runtime_dir"] = runtime
    found.update(options)
    return found
