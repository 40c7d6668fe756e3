"""Two processes on one machine exchange a message:  python quickstart.py

The program starts a second copy of itself, which waits for a message, and talks to it. The
two find each other with no configuration and no server.
"""

import asyncio
import sys

from x0x import Agent


async def wait_for_a_message() -> None:
    async with Agent() as agent:
        await agent.join_network()
        print(agent.agent_id, flush=True)  # how the other process learns whom to talk to
        msg = await agent.recv_direct()
        print(f"{msg.sender} says {msg.payload_str()!r}", flush=True)
        await agent.send_direct(msg.sender, b'{"type": "response"}')


async def talk_to(target_id: str) -> None:
    agent = Agent()
    await agent.join_network()
    await agent.publish("topic", b"hello")
    outcome = await agent.connect_to_agent(target_id)
    print(f"connected: {outcome}", flush=True)
    await agent.send_direct(target_id, b'{"type": "request"}')
    msg = await agent.recv_direct()
    print(f"{msg.sender} says {msg.payload_str()!r}", flush=True)
    await agent.close()


async def main() -> None:
    if sys.argv[1:] == ["wait"]:
        await wait_for_a_message()
        return
    other = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "wait", stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    target_id = (await other.stdout.readline()).decode().strip()
    await talk_to(target_id)
    print((await other.stdout.read()).decode(), end="")
    await other.wait()


asyncio.run(main())
