"""Being told when peers come and go:  python event_callbacks.py"""

import asyncio
from typing import Any

from x0x import Agent


async def main() -> None:
    connected, gone = asyncio.Event(), asyncio.Event()

    def on_connected(event: Any) -> None:
        print(f"connected: {event.peer_id[:16]} at {event.address}")
        connected.set()

    def on_disconnected(event: Any) -> None:
        print(f"disconnected: {event['peer_id'][:16]}")
        gone.set()

    def on_peer_joined(event: Any) -> None:
        print(f"peer joined: agent {event.agent_id}")

    async with Agent() as agent:
        agent.on("connected", on_connected)
        agent.on("disconnected", on_disconnected)
        agent.on("peer_joined", on_peer_joined)
        await agent.join_network()

        # Somebody to see: a second agent, which finds the first one by itself.
        async with Agent() as visitor:
            await visitor.join_network()
            await visitor.connect_to_agent(agent.agent_id)
            await asyncio.wait_for(connected.wait(), 10)
        await asyncio.wait_for(gone.wait(), 10)

        agent.off("peer_joined", on_peer_joined)


asyncio.run(main())
