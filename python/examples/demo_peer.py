"""The Python one of the four processes of `make demo`:  python demo_peer.py NAME ...

It greets on a topic, answers the greeting of each other process with a direct message, and
reports what happens as lines of JSON. Exit status: 0 done, 1 bad arguments, 2 failed, 3 told
to go before it began.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

from x0x import Agent

TOPIC = "demo/greetings"


def say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def arguments() -> argparse.Namespace:
    parser = Arguments(description="one process of make demo")
    parser.add_argument("name")
    parser.add_argument("--network", required=True, help="network id")
    parser.add_argument("--runtime-dir", required=True, help="folder of the local registry")
    parser.add_argument("--peers", type=int, default=3, help="how many others there are")
    parser.add_argument("--timeout", type=float, default=30, help="seconds for everything")
    return parser.parse_args()


async def lines_of_stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


async def receive(agent: Agent, count: int) -> None:
    """The direct messages of the others."""
    for _ in range(count):
        message = await agent.recv_direct()
        body = json.loads(message.payload)
        say(event="received", **{"from": str(message.sender)}, text=body["text"])


async def greet(agent: Agent, subscription: Any, options: argparse.Namespace) -> None:
    """The greetings of the others, each answered with a direct message."""
    seen = {agent.agent_id}
    async for message in subscription:
        if message.sender in seen:
            continue
        seen.add(message.sender)
        name = json.loads(message.payload)["name"]
        say(event="greeting", **{"from": str(message.sender)}, name=name)
        text = json.dumps({"text": f"hello {name}, this is {options.name}"}).encode()
        receipt = await agent.send_direct(message.sender, text, timeout=options.timeout)
        say(
            event="sent",
            to=str(message.sender),
            name=name,
            path=receipt.path,
            rtt_us=round(receipt.rtt * 1e6),
        )
        if len(seen) > options.peers:
            return


async def peer(options: argparse.Namespace) -> int:
    async with Agent(network_id=options.network, runtime_dir=options.runtime_dir) as agent:
        subscription = agent.subscribe(TOPIC)
        say(event="open", name=options.name, id=str(agent.agent_id))
        stdin = await lines_of_stdin()
        if not await stdin.readline():
            return 3
        await agent.join_network()
        await agent.publish(TOPIC, json.dumps({"name": options.name}).encode())
        await asyncio.gather(
            receive(agent, options.peers), greet(agent, subscription, options)
        )
        say(event="done")
        await stdin.read()  # end of input: the others are done, too
    return 0


def main() -> int:
    options = arguments()
    try:
        return asyncio.run(asyncio.wait_for(peer(options), options.timeout))
    except Exception as e:
        print(f"{options.name}: {type(e).__name__}: {e}", file=sys.stderr)
        return 2


sys.exit(main())
