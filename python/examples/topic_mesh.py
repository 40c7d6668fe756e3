"""How a topic flows: who is pushed to, what came from whom:  python topic_mesh.py"""

import asyncio

from x0x import Agent, TopicMesh, TopicPriority

TOPIC = "examples/mesh"


async def mesh_with(agent: Agent, count: int) -> TopicMesh:
    """The mesh of TOPIC once it knows of that many neighbours who subscribe."""
    while True:
        for mesh in agent.topic_mesh():
            if mesh.name == TOPIC and sum(link.interested for link in mesh.links) == count:
                return mesh
        await asyncio.sleep(0.05)


async def main() -> None:
    async with Agent() as alice, Agent() as bob, Agent() as carol:
        for agent in (alice, bob, carol):
            await agent.join_network()
        readers = [agent.subscribe(TOPIC) for agent in (bob, carol)]

        alice.set_topic_priority(TOPIC, TopicPriority.HIGH)
        await alice.publish(TOPIC, b"hello")
        for reader in readers:
            await reader.recv(timeout=20)

        print(await asyncio.wait_for(mesh_with(alice, 2), 20))
        print("neighbours:", *(str(agent)[:16] for agent in alice.neighbors()))
        stats = alice.gossip_stats()
        print(f"published {stats['published']}, forwarded {stats['forwarded']}")


asyncio.run(main())
