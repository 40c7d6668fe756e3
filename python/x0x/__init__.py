"""x0x: a secure network of their own for AI agents.

    import asyncio
    from x0x import Agent

    async def main():
        async with Agent() as agent:
            await agent.join_network()
            await agent.publish("news", b"hello")
            async for message in agent.subscribe("news"):
                print(message.sender, message.payload)

    asyncio.run(main())

Agent is for asyncio; x0x.sync has the same without. Importing loads no native code; the first
Agent does. `python -m x0x` tests the installation.
"""

from ._agent import Agent, AgentBuilder, Subscription
from ._core import live_handles
from ._errors import (
    AuthError,
    BadHandleError,
    BlockedError,
    BusyError,
    CancelledError,
    ClosedError,
    ConnectionError,
    CorruptError,
    DisconnectedError,
    ForkedError,
    InternalError,
    InvalidArgumentError,
    IoError,
    LaggedError,
    LimitError,
    NetworkMismatchError,
    NotFoundError,
    PanicError,
    PoisonedError,
    PolicyError,
    TimeoutError,
    TooLargeError,
    TooSmallError,
    UnreachableError,
    UnsupportedError,
    WrongKindError,
    X0XError,
)
from ._ids import AgentId, MachineId, UserId
from ._lib import build_info
from ._log import bridge_logs
from ._options import AgentOptions
from ._types import (
    CardGroup,
    CardStore,
    Certificate,
    ConnectedEvent,
    ConnectOutcome,
    ConnectResult,
    Contact,
    ContactChangedEvent,
    DirectMessage,
    DisconnectedEvent,
    DropPolicy,
    ErrorEvent,
    Event,
    FatalEvent,
    IdentityType,
    ImportedCard,
    KnownPeer,
    LaggedEvent,
    MachineRecord,
    Message,
    PeerIdentity,
    PeerInfo,
    PeerJoinedEvent,
    Receipt,
    SessionResetEvent,
    TopicLink,
    TopicMesh,
    TopicPriority,
    TrustDecision,
    TrustLevel,
)

__version__ = "0.3.0"

__all__ = [
    "Agent",
    "AgentBuilder",
    "AgentId",
    "AgentOptions",
    "AuthError",
    "BadHandleError",
    "BlockedError",
    "BusyError",
    "CancelledError",
    "CardGroup",
    "CardStore",
    "Certificate",
    "ClosedError",
    "ConnectOutcome",
    "ConnectResult",
    "ConnectedEvent",
    "ConnectionError",
    "Contact",
    "ContactChangedEvent",
    "CorruptError",
    "DirectMessage",
    "DisconnectedError",
    "DisconnectedEvent",
    "DropPolicy",
    "ErrorEvent",
    "Event",
    "FatalEvent",
    "ForkedError",
    "IdentityType",
    "ImportedCard",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "KnownPeer",
    "LaggedError",
    "LaggedEvent",
    "LimitError",
    "MachineId",
    "MachineRecord",
    "Message",
    "NetworkMismatchError",
    "NotFoundError",
    "PanicError",
    "PeerIdentity",
    "PeerInfo",
    "PeerJoinedEvent",
    "PoisonedError",
    "PolicyError",
    "Receipt",
    "SessionResetEvent",
    "Subscription",
    "TimeoutError",
    "TooLargeError",
    "TooSmallError",
    "TopicLink",
    "TopicMesh",
    "TopicPriority",
    "TrustDecision",
    "TrustLevel",
    "UnreachableError",
    "UnsupportedError",
    "UserId",
    "WrongKindError",
    "X0XError",
    "__version__",
    "bridge_logs",
    "build_info",
    "live_handles",
]
