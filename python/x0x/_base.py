"""What the asyncio agent and the synchronous one have in common: everything that does not wait."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from . import _abi
from ._core import Core, abandon
from ._errors import InvalidArgumentError
from ._feed import TopicFeed
from ._ids import AgentId, Id, MachineId, UserId
from ._options import AgentOptions, count, milliseconds, payload_bytes
from ._types import (
    DECISIONS,
    IDENTITY_TYPES,
    OUTCOMES,
    PRIORITIES,
    ConnectOutcome,
    ConnectResult,
    Certificate,
    Contact,
    IdentityType,
    ImportedCard,
    KnownPeer,
    MachineRecord,
    PeerInfo,
    PresenceEntry,
    Receipt,
    TopicMesh,
    TopicPriority,
    TrustDecision,
    TrustLevel,
    contact_of,
    imported_card_of,
    presence_of,
    topic_mesh_of,
)

A = TypeVar("A", bound="BaseAgent")


class BaseAgent:
    """One agent: identity, knowledge about peers, trust, events."""

    def __init__(self, options: AgentOptions) -> None:
        self._core = core = Core(options)
        label = f"{type(self).__name__} {str(core.agent_id)[:16]}"
        self._finalizer = weakref.finalize(self, abandon, core, label)
        # At exit the library closes all agents at once, bounded; not one after the other.
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        state = " closed" if self._core.closed else ""
        return f"<Agent {str(self._core.agent_id)[:16]}{state}>"

    # -- identity

    @property
    def agent_id(self) -> AgentId:
        """Who this is: what others send direct messages to."""
        return self._core.agent_id

    @property
    def machine_id(self) -> MachineId:
        """The endpoint of this agent on the network."""
        return self._core.machine_id

    @property
    def user_id(self) -> UserId | None:
        """The person behind this agent, where that is known."""
        return self._core.user_id

    def peer_id(self) -> str:
        """The machine id as 64 hex digits."""
        return str(self._core.machine_id)

    @property
    def closed(self) -> bool:
        return self._core.closed

    def identity_words(self, id: Id | str | bytes | None = None) -> str:
        """Four words by which two people can compare an id (this agent's) aloud.

        A check aid and no name: never look anything up by them."""
        if isinstance(id, Id):
            id = bytes(id)
        raw = self.agent_id._raw if id is None else AgentId.of(id)._raw
        return str(self._now(_abi.X0X_M_IDENTITY_WORDS, raw)[0])

    def certificate(self) -> Certificate | None:
        """By which the person behind this agent says that it is theirs; None if there is none.

        With the option user_key it is issued when the agent is made, and renewed in time."""
        data, user, issued, expires = self._now(_abi.X0X_M_CERTIFICATE)[:4]
        return Certificate(UserId(user), issued, expires, data) if data else None

    def sign(self, context: str, payload: bytes | bytearray | memoryview) -> bytes:
        """Sign in the name of this agent for a purpose of yours, which context names: 1 to 255
        bytes, such as "example.org/vote/v1". See verify().

        A signature under one context does not hold under another, and none can pass for a
        message. Payloads are somewhat under 1 MiB: sign the hash of what is longer."""
        name = _label(context, "context")
        return bytes(self._now(_abi.X0X_M_SIGN, name, payload_bytes(payload))[0])

    def verify(
        self,
        agent: AgentId | str | bytes,
        context: str,
        payload: bytes | bytearray | memoryview,
        signature: bytes | bytearray | memoryview,
    ) -> None:
        """Return if that agent has signed this under this context, and raise otherwise.

        AuthError if it has not; CorruptError or UnsupportedError for what is no signature."""
        name, data = _label(context, "context"), payload_bytes(payload)
        proof = payload_bytes(signature)
        self._now(_abi.X0X_M_VERIFY, AgentId.of(agent)._raw, name, data, proof)

    def card(
        self,
        display_name: str = "",
        *,
        addresses: Iterable[str] | None = None,
        groups: Iterable[tuple[str, str]] = (),
        stores: Iterable[tuple[str, str]] = (),
        lifetime: float | None = None,
        include_user: bool = False,
        human_consent: bool = False,
    ) -> str:
        """A link "x0x://agent/..." in which this agent describes itself, signed, to pass on.

        addresses: where to look for it; left out: where it listens now. groups: (name,
        invite_link) each; stores: (name, topic). lifetime: seconds; 30 days if left out.
        include_user shows the person behind the agent to everybody who gets the link: it
        raises PolicyError without human_consent=True, NotFoundError without a user."""
        args = [
            _label(display_name, "display_name"),
            None if addresses is None else list(addresses),
            [list(group) for group in groups],
            [list(store) for store in stores],
            0 if lifetime is None else count("lifetime", math.ceil(lifetime)),
            bool(include_user),
            bool(human_consent),
        ]
        return str(self._now(_abi.X0X_M_CARD, *args)[0])

    def import_card(
        self, link: str, trust_level: TrustLevel | str = TrustLevel.KNOWN
    ) -> ImportedCard:
        """Verify a card, make its agent a contact, and remember where to find it.

        A new contact gets this level and the name on the card; one that is there already stays
        as it is, whatever the card and the level say. Raises AuthError for a card that its
        agent has not signed or that has ended, CorruptError for a damaged one,
        InvalidArgumentError for another text."""
        level = int(TrustLevel.of(trust_level))
        return imported_card_of(self._now(_abi.X0X_M_IMPORT_CARD, _label(link, "link"), level))

    # -- the network as it is now

    def is_connected(self) -> bool:
        """Whether at least one authenticated peer is there. False once closed."""
        return not self._core.closed and bool(self._now(_abi.X0X_M_IS_CONNECTED)[0])

    def is_agent_connected(self, agent: AgentId | str | bytes) -> bool:
        return bool(self._now(_abi.X0X_M_IS_AGENT_CONNECTED, AgentId.of(agent)._raw)[0])

    def connected_agents(self) -> list[AgentId]:
        return [peer.agent_id for peer in self.peers()]

    def peers(self) -> list[PeerInfo]:
        """Every connection, with its path and round-trip time."""
        return [
            PeerInfo(
                AgentId(agent), MachineId(machine), address, path, rtt_us / 1e6, dialled, since
            )
            for agent, machine, address, path, rtt_us, dialled, since in self._now(
                _abi.X0X_M_PEERS
            )
        ]

    def local_addresses(self) -> list[str]:
        """Addresses that others on this machine can dial; empty before joining."""
        return list(self._now(_abi.X0X_M_LOCAL_ADDRESSES))

    def stats(self) -> dict[str, int]:
        """Every counter of the library for this agent, by name."""
        return dict(self._now(_abi.X0X_M_STATS))

    def add_peer(
        self,
        machine: MachineId | str | bytes,
        addresses: Iterable[str],
        agent: AgentId | str | bytes | None = None,
    ) -> None:
        """A hint where a machine listens. The connection itself proves who is there."""
        args: list[Any] = [MachineId.of(machine)._raw, list(addresses)]
        if agent is not None:
            args.append(AgentId.of(agent)._raw)
        self._now(_abi.X0X_M_ADD_PEER, *args)

    # -- how topics go

    def set_topic_priority(self, topic: str, priority: TopicPriority | str) -> None:
        """Say which topics to serve first, from now on, subscribed or only relayed.

        Each agent has priorities of its own; no peer is told. Raises InvalidArgumentError, and
        LimitError beyond 65,536 topics that are not 'normal'."""
        self._core.topic_name(topic)
        self._now(
            _abi.X0X_M_SET_TOPIC_PRIORITY, topic, PRIORITIES[TopicPriority.of(priority)]
        )

    def topic_mesh(self) -> tuple[TopicMesh, ...]:
        """The topics that flow through this agent, each with its neighbours. print() one."""
        return tuple(topic_mesh_of(row) for row in self._now(_abi.X0X_M_TOPIC_MESH))

    def gossip_stats(self) -> dict[str, int]:
        """The counters of topics, by name: what stats() has as 'gossip.name'."""
        prefix = "gossip."
        return {
            name[len(prefix) :]: value
            for name, value in self.stats().items()
            if name.startswith(prefix)
        }

    def neighbors(self) -> list[AgentId]:
        """The connected agents that topics go through (option active_peers); [] before joining."""
        return [AgentId(raw) for raw in self._now(_abi.X0X_M_NEIGHBORS)]

    def known_peers(self) -> list[KnownPeer]:
        """Who may take the place of a lost neighbour (option passive_peers); [] before joining."""
        return [
            KnownPeer(AgentId(agent), MachineId(machine), tuple(addresses))
            for agent, machine, addresses, *_ in self._now(_abi.X0X_M_KNOWN_PEERS)
        ]

    # -- trust

    def set_trust(self, agent: AgentId | str | bytes, level: TrustLevel | str) -> None:
        """Say what you think of an agent. Takes effect at once, also on open connections."""
        self._now(_abi.X0X_M_SET_TRUST, AgentId.of(agent)._raw, int(TrustLevel.of(level)))

    def trust(self, agent: AgentId | str | bytes) -> TrustLevel:
        return TrustLevel(self._now(_abi.X0X_M_TRUST, AgentId.of(agent)._raw)[0])

    def block(self, agent: AgentId | str | bytes) -> None:
        """Neither receive anything from an agent nor send to it. It cannot tell."""
        self.set_trust(agent, TrustLevel.BLOCKED)

    def contacts(self) -> list[Contact]:
        """The agents that you have an opinion about, ordered by id.

        Contacts change by your calls alone, never by what the network says; each change takes
        effect at once and is followed by a 'contact_changed' event."""
        return [contact_of(row) for row in self._now(_abi.X0X_M_CONTACTS)]

    def contact(self, agent: AgentId | str | bytes) -> Contact | None:
        """What is on record about an agent, or None."""
        rows = self._now(_abi.X0X_M_CONTACT, AgentId.of(agent)._raw)
        return contact_of(rows[0]) if rows else None

    def add_contact(
        self,
        agent: AgentId | str | bytes,
        level: TrustLevel | str = TrustLevel.KNOWN,
        label: str = "",
    ) -> None:
        """set_trust() with a name of at most 256 bytes; an empty one leaves what is there."""
        to = AgentId.of(agent)._raw
        self._now(_abi.X0X_M_ADD_CONTACT, to, int(TrustLevel.of(level)), _label(label))

    def remove_contact(self, agent: AgentId | str | bytes) -> bool:
        """Forget an opinion, and with it that you blocked. False if there was none."""
        return bool(self._now(_abi.X0X_M_REMOVE_CONTACT, AgentId.of(agent)._raw)[0])

    def set_label(self, agent: AgentId | str | bytes, label: str) -> None:
        """Name a contact. Raises NotFoundError, as all that follow, if it is none."""
        self._now(_abi.X0X_M_SET_LABEL, AgentId.of(agent)._raw, _label(label))

    def set_identity_type(
        self, agent: AgentId | str | bytes, identity_type: IdentityType | str
    ) -> None:
        """Say how you know that a contact is who it is. 'pinned' without a pinned machine
        shuts it out until you pin one."""
        number = IDENTITY_TYPES[IdentityType.of(identity_type)]
        self._now(_abi.X0X_M_SET_IDENTITY_TYPE, AgentId.of(agent)._raw, number)

    def machines(self, agent: AgentId | str | bytes) -> list[MachineRecord]:
        """The machines on which you expect a contact; [] if it is none."""
        contact = self.contact(agent)
        return list(contact.machines) if contact else []

    def add_machine(
        self, agent: AgentId | str | bytes, machine: MachineId | str | bytes, label: str = ""
    ) -> None:
        """Note a machine of a contact, not pinned; of one that is there it changes the label.

        Raises LimitError beyond 64 machines."""
        self._on_machine(_abi.X0X_M_ADD_MACHINE, agent, machine, _label(label))

    def remove_machine(
        self, agent: AgentId | str | bytes, machine: MachineId | str | bytes
    ) -> None:
        """Forget a machine of a contact, after unpinning it."""
        self._on_machine(_abi.X0X_M_REMOVE_MACHINE, agent, machine)

    def pin_machine(self, agent: AgentId | str | bytes, machine: MachineId | str | bytes) -> None:
        """Accept a contact from this machine and others that you pinned, and from no other.

        Topic messages do not prove where they come from: for them the level alone counts."""
        self._on_machine(_abi.X0X_M_PIN_MACHINE, agent, machine)

    def unpin_machine(
        self, agent: AgentId | str | bytes, machine: MachineId | str | bytes
    ) -> None:
        """Take back pin_machine(). Without pinned machines left the level alone decides."""
        self._on_machine(_abi.X0X_M_UNPIN_MACHINE, agent, machine)

    def evaluate_trust(
        self, agent: AgentId | str | bytes, machine: MachineId | str | bytes | None = None
    ) -> TrustDecision:
        """What would become of a message of this agent from this machine. The first that holds:

        no contact: Unknown; blocked: RejectBlocked; pinned to this machine: Accept; pinned to
        others: RejectMachineMismatch; trusted: Accept; known: AcceptWithFlag; else Unknown."""
        args = [AgentId.of(agent)._raw]
        if machine is not None:
            args.append(MachineId.of(machine)._raw)
        number = self._now(_abi.X0X_M_EVALUATE_TRUST, *args)[0]
        return DECISIONS.get(number, TrustDecision.UNKNOWN)

    def _on_machine(
        self,
        method: int,
        agent: AgentId | str | bytes,
        machine: MachineId | str | bytes,
        *more: str,
    ) -> None:
        self._now(method, AgentId.of(agent)._raw, MachineId.of(machine)._raw, *more)

    # -- who is online

    def presence(self) -> list[PresenceEntry]:
        """Who is online, as far as this agent has heard, ordered by id; [] before joining.

        These are its neighbours, its contacts, whom it watches, and whom presence_foaf() found,
        unless they hide or are blocked. 'agent_online' and 'agent_offline' tell of changes."""
        return [presence_of(row) for row in self._now(_abi.X0X_M_PRESENCE)]

    def presence_status(self, agent: AgentId | str | bytes) -> PresenceEntry | None:
        """What is known of one agent, also of a contact that is offline; None if nothing is."""
        row = self._now(_abi.X0X_M_PRESENCE_STATUS, AgentId.of(agent)._raw)
        return presence_of(row) if row else None

    def watch_presence(self, agent: AgentId | str | bytes) -> None:
        """Hear of an agent that is no contact, wherever in the network it is, until
        unwatch_presence() or leave_network(). Contacts are watched without it.

        Raises UnreachableError before joining, and LimitError beyond 1,024 agents."""
        self._now(_abi.X0X_M_WATCH_PRESENCE, AgentId.of(agent)._raw)

    def unwatch_presence(self, agent: AgentId | str | bytes) -> None:
        """Take back watch_presence(). Does nothing if it is not watched."""
        self._now(_abi.X0X_M_UNWATCH_PRESENCE, AgentId.of(agent)._raw)

    # -- events

    def on(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each event of a name, in addition to earlier ones.

        Names: connected, disconnected, peer_joined, session_reset, contact_changed,
        identity_conflict, agent_online, agent_offline, error, lagged, fatal, and message, which
        is called with a copy of each topic Message and exists for programs that know it: it has no back-pressure and drops the oldest. New programs iterate over
        subscribe(). Other names are accepted and never called by this version. What a
        callback raises is printed and goes no further.
        """
        self._core.on(event, callback)

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Remove the first registration of a callback; unknown ones are no error."""
        self._core.off(event, callback)

    def _now(self, method: int, *args: Any) -> Any:
        return self._core.call_now(method, *args)


F = TypeVar("F", bound="BaseAgent")


class BaseSubscription(Generic[F]):
    """One topic, as this agent reads it."""

    def __init__(self, agent: F, feed: TopicFeed) -> None:
        self._agent = agent
        self._feed = feed
        self._finalizer = weakref.finalize(self, TopicFeed.close, feed)
        self._finalizer.atexit = False

    @property
    def topic(self) -> str:
        return self._feed.topic or ""

    @property
    def closed(self) -> bool:
        return self._feed.ended is not None

    @property
    def pending(self) -> int:
        """Messages that wait to be read."""
        return len(self._feed.items) + int(self._info()[1])

    @property
    def lagged(self) -> int:
        """Messages dropped so far, since this reader was slow (see Message.lagged)."""
        return max(int(self._info()[2]), self._feed.lagged)

    def _info(self) -> list[Any]:
        feed = self._feed
        if feed.ended is not None:
            return [self.topic, 0, 0, 0]
        return list(feed.core.call_now(_abi.X0X_M_SUBSCRIPTION_INFO, handle=feed.handle))

    def __repr__(self) -> str:
        return f"<Subscription {self.topic!r}{' closed' if self.closed else ''}>"


def _label(label: str, name: str = "label") -> str:
    if not isinstance(label, str):
        raise TypeError(f"{name} must be str, not {type(label).__name__}")
    try:
        label.encode()
    except UnicodeEncodeError as e:
        raise InvalidArgumentError(f"{name} is not valid Unicode: {e.reason}") from None
    return label


def walk(ttl: int, timeout: float | None) -> tuple[int, int]:
    """The arguments of X0X_M_PRESENCE_FOAF."""
    return count("ttl", ttl, 8), milliseconds(timeout)


def found_by(rows: list[list[Any]], agent: AgentId) -> PresenceEntry | None:
    """The row of an agent, if it is there."""
    for entry in map(presence_of, rows):
        if entry.agent_id == agent:
            return entry
    return None


def send_flags(ordered: bool, on_disconnect: str) -> int:
    if on_disconnect not in ("wait", "fail"):
        raise InvalidArgumentError(f"on_disconnect must be 'wait' or 'fail', not {on_disconnect!r}")
    flags = 0 if ordered else _abi.X0X_SEND_UNORDERED
    return flags | (_abi.X0X_SEND_FAIL_ON_DISCONNECT if on_disconnect == "fail" else 0)


def receipt(result: Any) -> Receipt:
    return Receipt(result[0], result[1] / 1e6, result[2])


def connect_result(result: Any) -> ConnectResult:
    outcome = OUTCOMES.get(result[0], ConnectOutcome.UNKNOWN)
    return ConnectResult(outcome, (result[1] or None) if len(result) > 1 else None)


def limit_of(max: int | None) -> int | None:
    if max is not None and (isinstance(max, bool) or not isinstance(max, int)):
        raise TypeError(f"max must be int, not {type(max).__name__}")
    if max is not None and max < 1:
        raise InvalidArgumentError(f"max must be at least 1, got {max}")
    return max
