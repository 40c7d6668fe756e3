"""An agent: made, joined, left:  python basic_agent.py"""

import asyncio

from x0x import Agent


async def main() -> None:
    agent = await Agent.builder().build()
    print(f"agent id    {agent.agent_id}")
    print(f"machine id  {agent.machine_id}")

    await agent.join_network()
    print(f"listening on {', '.join(agent.local_addresses())}")
    print(f"connected to {len(agent.peers())} peers")

    await agent.leave_network()
    await agent.close()


asyncio.run(main())
