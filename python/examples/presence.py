"""Who is online, now and later:  python presence.py"""

import asyncio

from x0x import Agent, AgentOfflineEvent, AgentOnlineEvent


async def main() -> None:
    # A beacon each second, so that this is over soon; the default of 30 costs next to nothing.
    async with Agent(presence_interval=1) as alice, Agent(presence_interval=1) as bob:
        online: asyncio.Queue[AgentOnlineEvent] = asyncio.Queue()
        offline: asyncio.Queue[AgentOfflineEvent] = asyncio.Queue()
        alice.on("agent_online", online.put_nowait)
        alice.on("agent_offline", offline.put_nowait)
        await alice.join_network()
        await bob.join_network()

        came = await asyncio.wait_for(online.get(), 20)
        print("online: ", str(came.agent_id)[:16], "on machine", str(came.machine_id)[:16])
        print("listed: ", len(alice.presence()))

        # Somebody who is no neighbour: friends ask their friends. Here bob is near anyhow.
        entry = alice.presence_status(bob.agent_id) or await alice.find_presence(bob.agent_id)
        print("found:  ", f"yes, {entry.source}" if entry else "no")

        # Contacts are watched wherever they are; others on request.
        alice.watch_presence(bob.agent_id)
        await bob.leave_network()
        gone = await asyncio.wait_for(offline.get(), 20)
        print("offline:", str(gone.agent_id)[:16])


asyncio.run(main())
