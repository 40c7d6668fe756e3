"""Two agents and a topic:  python pubsub_messaging.py"""

import asyncio

from x0x import Agent

TOPIC = "examples/pubsub"


async def listen(agent: Agent, count: int) -> None:
    subscription = agent.subscribe(TOPIC)
    async for msg in subscription:
        print(f"{msg.sender.to_hex()[:16]} at {msg.timestamp}: {msg.payload_str()}")
        count -= 1
        if count == 0:
            subscription.close()


async def main() -> None:
    async with Agent() as alice, Agent() as bob:
        await alice.join_network()
        await bob.join_network()

        # Listening may begin before or after the publishing: topics keep what is recent.
        listening = asyncio.create_task(listen(bob, 5))
        for i in range(1, 6):
            await alice.publish(TOPIC, f"message {i}".encode())
        await asyncio.wait_for(listening, 20)


asyncio.run(main())
