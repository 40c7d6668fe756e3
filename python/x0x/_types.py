"""What the package hands out: messages, receipts, peers, contacts, events."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, TypeVar

from . import _abi, _msgpack
from ._errors import InvalidArgumentError
from ._ids import AgentId, Id, MachineId, UserId

_E = TypeVar("_E", bound="enum.Enum")


class TrustLevel(enum.IntEnum):
    """What you think of an agent. Ordered: TRUSTED > KNOWN > UNKNOWN > BLOCKED."""

    BLOCKED = _abi.X0X_TRUST_BLOCKED
    UNKNOWN = _abi.X0X_TRUST_UNKNOWN
    KNOWN = _abi.X0X_TRUST_KNOWN
    TRUSTED = _abi.X0X_TRUST_TRUSTED

    @classmethod
    def of(cls, value: TrustLevel | str | int) -> TrustLevel:
        """The level that a caller meant, by name ('known') or as a member."""
        if isinstance(value, str):
            member = cls.__members__.get(value.upper())
            if member is not None:
                return member
        elif isinstance(value, int) and not isinstance(value, bool) and value in list(cls):
            return cls(value)
        raise InvalidArgumentError(
            f"{value!r} is not a trust level: " + ", ".join(m.name.lower() for m in cls)
        )

    @classmethod
    def _missing_(cls, value: object) -> TrustLevel:
        return cls.UNKNOWN  # a level of a newer library

    def __str__(self) -> str:
        return self.name.lower()


class _Word(str, enum.Enum):
    """A word with a meaning: as text it is the word."""

    def __str__(self) -> str:
        return str(self.value)


class TrustDecision(_Word):
    """What the policy said about a direct message when it came in."""

    UNKNOWN = "Unknown"
    ACCEPT = "Accept"
    ACCEPT_WITH_FLAG = "AcceptWithFlag"
    REJECT_BLOCKED = "RejectBlocked"
    REJECT_MACHINE_MISMATCH = "RejectMachineMismatch"


DECISIONS = {
    _abi.X0X_DECISION_UNKNOWN: TrustDecision.UNKNOWN,
    _abi.X0X_DECISION_ACCEPT: TrustDecision.ACCEPT,
    _abi.X0X_DECISION_ACCEPT_WITH_FLAG: TrustDecision.ACCEPT_WITH_FLAG,
    _abi.X0X_DECISION_REJECT_BLOCKED: TrustDecision.REJECT_BLOCKED,
    _abi.X0X_DECISION_REJECT_MACHINE_MISMATCH: TrustDecision.REJECT_MACHINE_MISMATCH,
}


class IdentityType(_Word):
    """How you know that a contact is who it is."""

    ANONYMOUS = "anonymous"
    """By its id only."""
    KNOWN = "known"
    """Met before."""
    TRUSTED = "trusted"
    """Checked by you."""
    PINNED = "pinned"
    """Accepted from machines that you pinned, and from no others."""

    @classmethod
    def of(cls, value: IdentityType | str) -> IdentityType:
        """The type that a caller meant, by name ('pinned') or as a member."""
        if isinstance(value, str):
            member = cls.__members__.get(value.upper())
            if member is not None:
                return member
        raise InvalidArgumentError(
            f"{value!r} is not an identity type: " + ", ".join(m.value for m in cls)
        )


IDENTITY_TYPES = {
    IdentityType.ANONYMOUS: _abi.X0X_IDENTITY_ANONYMOUS,
    IdentityType.KNOWN: _abi.X0X_IDENTITY_KNOWN,
    IdentityType.TRUSTED: _abi.X0X_IDENTITY_TRUSTED,
    IdentityType.PINNED: _abi.X0X_IDENTITY_PINNED,
}
_IDENTITY_OF = {number: kind for kind, number in IDENTITY_TYPES.items()}


class Visibility(_Word):
    """To whom an agent says that it is online."""

    NETWORK = "network"
    """To its neighbours, who tell those who ask, and to its contacts."""
    SOCIAL = "social"
    """To its contacts only."""
    HIDDEN = "hidden"
    """To nobody."""

    @classmethod
    def of(cls, value: Visibility | str | int) -> Visibility:
        """The visibility that a caller meant, by name ('social'), number, or as a member."""
        if isinstance(value, str):
            member = cls.__members__.get(value.upper())
        else:
            member = None if isinstance(value, bool) else _VISIBILITY_OF.get(value)
        if member is None:
            raise InvalidArgumentError(
                f"{value!r} is not a visibility: " + ", ".join(m.value for m in cls)
            )
        return member


VISIBILITIES = {
    Visibility.NETWORK: _abi.X0X_VISIBLE_NETWORK,
    Visibility.SOCIAL: _abi.X0X_VISIBLE_CONTACTS,
    Visibility.HIDDEN: _abi.X0X_VISIBLE_NOBODY,
}
_VISIBILITY_OF = {number: visibility for visibility, number in VISIBILITIES.items()}


class PresenceSource(_Word):
    """How it is known that an agent is online."""

    DIRECT = "direct"
    """It said so itself, over a connection."""
    FOAF = "foaf"
    """Somebody passed on what it said, which it signed."""


SOURCES = {
    _abi.X0X_SOURCE_DIRECT: PresenceSource.DIRECT,
    _abi.X0X_SOURCE_FOAF: PresenceSource.FOAF,
}


class ConnectOutcome(_Word):
    """How a connection came about, or why there is none."""

    DIRECT = "Direct"
    COORDINATED = "Coordinated"
    ALREADY_CONNECTED = "AlreadyConnected"
    UNREACHABLE = "Unreachable"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"  # an outcome of a newer library


OUTCOMES = {
    _abi.X0X_OUTCOME_DIRECT: ConnectOutcome.DIRECT,
    _abi.X0X_OUTCOME_COORDINATED: ConnectOutcome.COORDINATED,
    _abi.X0X_OUTCOME_ALREADY_CONNECTED: ConnectOutcome.ALREADY_CONNECTED,
    _abi.X0X_OUTCOME_UNREACHABLE: ConnectOutcome.UNREACHABLE,
    _abi.X0X_OUTCOME_NOT_FOUND: ConnectOutcome.NOT_FOUND,
}


class DropPolicy(_Word):
    """What a full subscription does with one message more."""

    OLDEST = "drop_oldest"
    NEWEST = "drop_newest"


POLICIES = {DropPolicy.OLDEST: _abi.X0X_DROP_OLDEST, DropPolicy.NEWEST: _abi.X0X_DROP_NEWEST}


class TopicPriority(_Word):
    """Which topics this agent serves first. No peer is told."""

    NORMAL = "normal"
    HIGH = "high"
    """Sent to each peer before all others, dropped last when memory is full."""
    LOW = "low"
    """Sent after all others, dropped first."""

    @classmethod
    def of(cls, value: TopicPriority | str) -> TopicPriority:
        """The priority that a caller meant, by name ('high') or as a member."""
        if isinstance(value, str):
            member = cls.__members__.get(value.upper())
            if member is not None:
                return member
        raise InvalidArgumentError(
            f"{value!r} is not a topic priority: " + ", ".join(m.value for m in cls)
        )


PRIORITIES = {
    TopicPriority.NORMAL: _abi.X0X_PRIORITY_NORMAL,
    TopicPriority.HIGH: _abi.X0X_PRIORITY_HIGH,
    TopicPriority.LOW: _abi.X0X_PRIORITY_LOW,
}
_PRIORITY_OF = {number: priority for priority, number in PRIORITIES.items()}


class _Received:
    """A message as it came: payload and numbers at once, the rest read when asked for.

    A slotted class and not a dataclass, since hundreds of thousands of them are made each
    second and few of their fields are looked at. Public attributes are read-only.
    """

    __slots__ = ("_payload", "_meta", "_sequence", "_ms", "_lagged")

    # The beginning of each meta: an array of n, whose first item is 32 bytes of bin.
    _head: ClassVar[bytes]
    _lagged: int  # only there if not 0

    def __init__(self, payload: bytes, meta: bytes, sequence: int, ms: int) -> None:
        self._payload = payload
        self._meta: Any = meta
        self._sequence = sequence
        self._ms = ms

    def _fields(self) -> list[Any]:
        meta = self._meta
        if type(meta) is bytes:
            meta = self._meta = _msgpack.unpack(meta)
        return meta  # type: ignore[no-any-return]

    @property
    def payload(self) -> bytes:
        """The bytes as they were sent."""
        return self._payload

    def payload_str(self) -> str:
        """The payload as UTF-8 text. Raises UnicodeDecodeError."""
        return self._payload.decode()

    @property
    def sender(self) -> AgentId:
        """Who signed it (Message) or proved to be at the other end (DirectMessage)."""
        meta = self._meta
        if type(meta) is bytes and meta.startswith(self._head):
            return AgentId(meta[3:35])
        return AgentId(self._fields()[0])

    @property
    def sequence(self) -> int:
        """Counts the messages of the sender (and topic) from 1."""
        return self._sequence

    @property
    def verified(self) -> bool:
        """Always True: what cannot be verified is never delivered."""
        return True

    @property
    def lagged(self) -> int:
        """How many messages were dropped just before this one, since the reader was slow."""
        try:
            return self._lagged
        except AttributeError:
            return 0

    def _key(self) -> tuple[Any, ...]:
        return (type(self), self._payload, tuple(self._fields()), self._sequence, self._ms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Received) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        meta = self._meta if type(self._meta) is bytes else _msgpack.pack(self._meta)
        return type(self), (self._payload, meta, self._sequence, self._ms)


class Message(_Received):
    """A message of a topic. Its sender's signature was verified."""

    __slots__ = ()
    _head = b"\x94\xc4\x20"

    @property
    def topic(self) -> str:
        return str(self._fields()[3])

    @property
    def timestamp(self) -> int:
        """When it was published by the sender's clock, in seconds since 1970."""
        return self._ms // 1000

    @property
    def timestamp_ms(self) -> int:
        return self._ms

    @property
    def epoch(self) -> int:
        """Tells runs of the publishing process apart: sequence starts again with each."""
        return int(self._fields()[1])

    @property
    def trust_level(self) -> TrustLevel:
        """What you thought of the sender when it came in."""
        return TrustLevel(self._fields()[2])

    def __repr__(self) -> str:
        return (
            f"Message(sender={self.sender}, payload_len={len(self._payload)}, "
            f"timestamp={self.timestamp})"
        )


class DirectMessage(_Received):
    """A private message from one agent."""

    __slots__ = ()
    _head = b"\x93\xc4\x20"

    @property
    def machine_id(self) -> MachineId:
        """The machine it came from, proven by the connection."""
        return MachineId(self._fields()[1])

    @property
    def received_at(self) -> int:
        """When it came in by this machine's clock, in milliseconds since 1970."""
        return self._ms

    @property
    def trust_decision(self) -> TrustDecision:
        return DECISIONS.get(self._fields()[2], TrustDecision.UNKNOWN)

    def __repr__(self) -> str:
        return (
            f"DirectMessage(sender={self.sender}, payload_len={len(self._payload)}, "
            f"sequence={self._sequence})"
        )


@dataclass(frozen=True)
class Receipt:
    """The recipient's library has accepted a direct message for its application."""

    path: str
    """How it travelled, such as 'direct'."""
    rtt: float
    """The round-trip time of the connection, in seconds."""
    sequence: int
    """The number of the message between the two agents."""


@dataclass(frozen=True)
class ConnectResult:
    """What became of connect_to_agent or connect_to_machine. True if there is a connection."""

    outcome: ConnectOutcome
    address: str | None = None

    @property
    def connected(self) -> bool:
        return self.outcome in (
            ConnectOutcome.DIRECT,
            ConnectOutcome.COORDINATED,
            ConnectOutcome.ALREADY_CONNECTED,
        )

    def __bool__(self) -> bool:
        return self.connected

    def __str__(self) -> str:
        return str(self.outcome)


@dataclass(frozen=True)
class PeerIdentity:
    """Who answered at an address."""

    agent_id: AgentId
    machine_id: MachineId


@dataclass(frozen=True)
class PeerInfo:
    """One authenticated connection."""

    agent_id: AgentId
    machine_id: MachineId
    address: str
    path: str
    rtt: float
    """Seconds."""
    dialled: bool
    """True if this side made the connection."""
    connected_ms: int
    """Since when, in milliseconds since 1970."""


@dataclass(frozen=True)
class TopicLink:
    """A neighbour in a topic, and what came of it. str() is a line for people."""

    agent_id: AgentId
    eager: bool
    """Messages are pushed to it; otherwise they are announced, and it asks."""
    carries: bool
    """It is sent this topic at all."""
    distance: int | None
    """Of the nearest agent behind it that subscribes: 0 is the neighbour itself, None nobody."""
    rtt: float | None
    """The round-trip time in seconds, None if it is not known yet."""
    first: int
    """Messages that it pushed and that were new here."""
    duplicates: int
    """Messages that it pushed and that were here already."""

    @property
    def interested(self) -> bool:
        """Somebody behind it, or itself, subscribes."""
        return self.distance is not None

    def __str__(self) -> str:
        if self.distance is None:
            who = "nobody subscribes"
        elif self.distance == 0:
            who = "subscribes"
        else:
            who = f"subscriber {self.distance} further"
        rtt = "? ms" if self.rtt is None else f"{self.rtt * 1000:.1f} ms"
        return (
            f"{str(self.agent_id)[:16]}  {'eager' if self.eager else 'lazy':5}  {who:20}  "
            f"{rtt:>9}  {self.first} first, {self.duplicates} duplicate"
        )


@dataclass(frozen=True)
class TopicMesh:
    """How one topic flows through this agent. str() is a table for people."""

    topic_id: str
    """What the network calls it: a hash, as 64 hex digits."""
    name: str
    """'' if it is only relayed."""
    priority: TopicPriority
    subscriptions: int
    """Of this agent."""
    retained: int
    """Messages kept for those who come later."""
    missing: int
    """Messages that a neighbour has announced and that are not here yet."""
    links: tuple[TopicLink, ...]

    def __str__(self) -> str:
        name = repr(self.name) if self.name else f"relayed {self.topic_id[:16]}"
        head = (
            f"{name}: {self.priority} priority, {self.subscriptions} subscriptions, "
            f"{self.retained} retained, {self.missing} missing"
        )
        return "\n  ".join([head, *map(str, self.links)])


@dataclass(frozen=True)
class KnownPeer:
    """An agent that may take the place of a lost neighbour. Hearsay: connecting proves it."""

    agent_id: AgentId
    machine_id: MachineId
    addresses: tuple[str, ...]


def topic_mesh_of(row: list[Any]) -> TopicMesh:
    """A row of X0X_M_TOPIC_MESH; a newer library may append to it."""
    topic_id, name, priority, subscriptions, retained, missing, links = row[:7]
    return TopicMesh(
        topic_id.hex(),
        name,
        _PRIORITY_OF.get(priority, TopicPriority.NORMAL),
        subscriptions,
        retained,
        missing,
        tuple(
            TopicLink(
                AgentId(agent), eager, carries, distance, rtt_us / 1e6 or None, first, duplicates
            )
            for agent, eager, carries, distance, rtt_us, first, duplicates, *_ in links
        ),
    )


@dataclass(frozen=True)
class MachineRecord:
    """A machine on which you expect a contact."""

    machine_id: MachineId
    label: str
    first_seen_ms: int
    """When you added it, in milliseconds since 1970."""
    last_seen_ms: int | None
    """When the contact was connected from it last; None if never."""
    pinned: bool


@dataclass(frozen=True)
class Contact:
    """An agent that you have an opinion about."""

    agent_id: AgentId
    trust_level: TrustLevel
    label: str
    added_ms: int
    """When you added it, in milliseconds since 1970."""
    identity_type: IdentityType = IdentityType.ANONYMOUS
    last_seen_ms: int | None = None
    """When it was connected last; None if never."""
    machines: tuple[MachineRecord, ...] = ()

    @property
    def last_seen(self) -> float | None:
        """last_seen_ms in seconds, as time.time() has it."""
        return None if self.last_seen_ms is None else self.last_seen_ms / 1000


def contact_of(row: list[Any]) -> Contact:
    """A row of X0X_M_CONTACTS; a newer library may append to it."""
    agent, level, label, added, identity_type, seen, machines = row[:7]
    return Contact(
        AgentId(agent),
        TrustLevel(level),
        label,
        added,
        _IDENTITY_OF.get(identity_type, IdentityType.ANONYMOUS),
        seen or None,
        tuple(
            MachineRecord(MachineId(machine), name, first, last or None, pinned)
            for machine, name, first, last, pinned, *_ in machines
        ),
    )


class CardGroup(NamedTuple):
    """A group that the holder of a card is invited to."""

    name: str
    invite_link: str


class CardStore(NamedTuple):
    """A store that the holder of a card may read."""

    name: str
    topic: str


@dataclass(frozen=True)
class ImportedCard:
    """A card that its agent has signed, and what became of it."""

    agent_id: AgentId
    added: bool
    """Its agent was no contact and is one now."""
    trust_level: TrustLevel
    """What you think of it now."""
    display_name: str
    machine_id: MachineId | None
    user_id: UserId | None
    """The person behind the agent, where the card shows it: proven by a certificate."""
    addresses: tuple[str, ...]
    groups: tuple[CardGroup, ...]
    stores: tuple[CardStore, ...]
    created_at: int
    """In seconds since 1970."""
    expires_at: int


def imported_card_of(row: list[Any]) -> ImportedCard:
    """The result of X0X_M_IMPORT_CARD; a newer library may append to it."""
    agent, added, level, name, machine, user, addresses, groups, stores, created, expires = row[:11]
    return ImportedCard(
        AgentId(agent),
        added,
        TrustLevel(level),
        name,
        MachineId(machine) if machine else None,
        UserId(user) if user else None,
        tuple(addresses),
        tuple(CardGroup(*group[:2]) for group in groups),
        tuple(CardStore(*store[:2]) for store in stores),
        created,
        expires,
    )


@dataclass(frozen=True)
class Certificate:
    """The word of a person that an agent is theirs, for a time."""

    user_id: UserId
    issued_ms: int
    """In milliseconds since 1970."""
    expires_ms: int
    data: bytes
    """Its binary form."""


@dataclass(frozen=True)
class PresenceEntry:
    """What is known of whether an agent is online. True if it is."""

    agent_id: AgentId
    machine_id: MachineId
    addresses: tuple[str, ...]
    """Where it says that it listens: hints, and only such as mean the same to everybody."""
    last_seen_ms: int | None
    """When it was heard of last, by this machine's clock, in milliseconds since 1970."""
    source: PresenceSource
    online: bool

    @property
    def last_seen(self) -> float | None:
        """last_seen_ms in seconds, as time.time() has it."""
        return None if self.last_seen_ms is None else self.last_seen_ms / 1000

    def __bool__(self) -> bool:
        return self.online


def presence_of(row: list[Any]) -> PresenceEntry:
    """A row of X0X_M_PRESENCE; a newer library may append to it."""
    agent, machine, addresses, seen, source, online = row[:6]
    return PresenceEntry(
        AgentId(agent),
        MachineId(machine),
        tuple(addresses),
        seen or None,
        SOURCES.get(source, PresenceSource.FOAF),
        online,
    )


@dataclass(frozen=True)
class Event:
    """Something happened outside any call. Fields can also be read as event['peer_id']."""

    type: ClassVar[str] = "event"

    timestamp_ms: int
    """When, in milliseconds since 1970."""

    @property
    def peer_id(self) -> str:
        """The machine id in hex, '' where no machine is concerned."""
        machine = getattr(self, "machine_id", None)
        return "" if machine is None else str(machine)

    def keys(self) -> list[str]:
        return ["type", "peer_id", *(f.name for f in fields(self))]

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        value = getattr(self, name)
        return str(value) if isinstance(value, Id) else value

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


@dataclass(frozen=True)
class ConnectedEvent(Event):
    """An authenticated peer is there."""

    type: ClassVar[str] = "connected"
    agent_id: AgentId
    machine_id: MachineId
    address: str
    path: str


@dataclass(frozen=True)
class DisconnectedEvent(Event):
    """A peer is gone and dialling it again failed, or it said goodbye."""

    type: ClassVar[str] = "disconnected"
    agent_id: AgentId
    machine_id: MachineId
    code: str
    message: str


@dataclass(frozen=True)
class PeerJoinedEvent(Event):
    """A peer is seen for the first time since joining."""

    type: ClassVar[str] = "peer_joined"
    agent_id: AgentId
    machine_id: MachineId
    address: str


@dataclass(frozen=True)
class ErrorEvent(Event):
    """Something went wrong outside any call."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    agent_id: AgentId | None = None


@dataclass(frozen=True)
class SessionResetEvent(Event):
    """The process behind an agent is a new one: its earlier session has ended."""

    type: ClassVar[str] = "session_reset"
    agent_id: AgentId


@dataclass(frozen=True)
class ContactChangedEvent(Event):
    """A contact was added, changed or removed by a call on this agent."""

    type: ClassVar[str] = "contact_changed"
    agent_id: AgentId


@dataclass(frozen=True)
class IdentityConflictEvent(Event):
    """This agent runs on another machine too, which machine_id names: end one of the two.

    Messages for it go to either. Each machine is told of once."""

    type: ClassVar[str] = "identity_conflict"
    agent_id: AgentId
    machine_id: MachineId
    address: str | None = None


@dataclass(frozen=True)
class AgentOnlineEvent(Event):
    """An agent that shows itself to this one is online: a neighbour, a contact, or watched."""

    type: ClassVar[str] = "agent_online"
    agent_id: AgentId
    machine_id: MachineId
    address: str | None = None


@dataclass(frozen=True)
class AgentOfflineEvent(Event):
    """It is not any more: it said goodbye, or fell silent."""

    type: ClassVar[str] = "agent_offline"
    agent_id: AgentId
    machine_id: MachineId


@dataclass(frozen=True)
class LaggedEvent(Event):
    """Messages or events were dropped, since this side read them too slowly."""

    type: ClassVar[str] = "lagged"
    count: int
    first_sequence: int
    last_sequence: int
    topic: str | None = None
    """The topic, or None if it was events that were dropped."""


@dataclass(frozen=True)
class FatalEvent(Event):
    """A defect inside the library has made this agent unusable: close it."""

    type: ClassVar[str] = "fatal"
    code: str
    message: str


def event_of(kind: int, meta: list[Any], ms: int) -> Event | None:
    """The event of a record, or None for a kind that this version does not know."""

    def code(status: Any) -> str:
        return _abi.STATUS_NAMES.get(status, "X0X_E_UNKNOWN")

    if kind == _abi.X0X_R_CONNECTED:
        return ConnectedEvent(ms, AgentId(meta[0]), MachineId(meta[1]), meta[2], meta[3])
    if kind == _abi.X0X_R_DISCONNECTED:
        return DisconnectedEvent(ms, AgentId(meta[0]), MachineId(meta[1]), code(meta[2]), meta[3])
    if kind == _abi.X0X_R_PEER_JOINED:
        return PeerJoinedEvent(ms, AgentId(meta[0]), MachineId(meta[1]), meta[2])
    if kind == _abi.X0X_R_ERROR:
        about = AgentId(meta[2]) if len(meta) > 2 and meta[2] is not None else None
        return ErrorEvent(ms, code(meta[0]), meta[1], about)
    if kind == _abi.X0X_R_SESSION_RESET:
        return SessionResetEvent(ms, AgentId(meta[0]))
    if kind == _abi.X0X_R_CONTACT_CHANGED:
        return ContactChangedEvent(ms, AgentId(meta[0]))
    if kind == _abi.X0X_R_IDENTITY_CONFLICT:
        return IdentityConflictEvent(ms, AgentId(meta[0]), MachineId(meta[1]), meta[2])
    if kind == _abi.X0X_R_AGENT_ONLINE:
        return AgentOnlineEvent(ms, AgentId(meta[0]), MachineId(meta[1]), meta[2])
    if kind == _abi.X0X_R_AGENT_OFFLINE:
        return AgentOfflineEvent(ms, AgentId(meta[0]), MachineId(meta[1]))
    if kind == _abi.X0X_R_LAGGED:
        return LaggedEvent(ms, meta[0], meta[1], meta[2])
    if kind == _abi.X0X_R_FATAL:
        return FatalEvent(ms, code(meta[0]), meta[1])
    return None
