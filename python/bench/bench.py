"""The figures of the Python package for `make bench`, against an echo agent in Go.

Prints one JSON object; core/internal/cmd/x0xbench puts it beside the raw layers.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from x0x import Agent, DirectMessage, live_handles

ROUNDS = 7
COUNT, SIZE = 200_000, 100


async def per_call(count: int, call: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of one awaited call: the median of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            await call()
        rounds.append((time.perf_counter() - start) / count * 1e6)
    return statistics.median(rounds)


def per_plain_call(count: int, call: Callable[[], object]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            call()
        rounds.append((time.perf_counter() - start) / count * 1e6)
    return statistics.median(rounds)


async def measure(options: argparse.Namespace) -> dict[str, float]:
    figures = {}
    async with Agent(network_id=options.network, runtime_dir=options.runtime_dir) as agent:
        await agent.join_network()
        await agent.send_direct(options.echo, b"s")

        ping = b"e" + bytes(63)

        async def round_trip() -> None:
            sent = asyncio.ensure_future(agent.send_direct(options.echo, ping))
            await agent.recv_direct()
            await sent

        await per_call(200, round_trip)
        figures["rtt_us"] = await per_call(500, round_trip)
        figures["wake_us"] = await per_call(500, agent.join_network)

        async def receive(all_of_them: Callable[[], Awaitable[None]]) -> float:
            await agent.send_direct(options.echo, b"g %d %d" % (COUNT, SIZE))
            start = time.perf_counter()
            await all_of_them()
            return COUNT / (time.perf_counter() - start)

        def counted(message: DirectMessage) -> int:
            return 1 if len(message.payload) == SIZE else 0

        async def batches() -> None:
            got = 0
            while got < COUNT:
                got += sum(map(counted, await agent.recv_direct_many(4096)))

        async def one_at_a_time() -> None:
            got = 0
            async for message in agent.direct_messages():
                got += counted(message)
                if got == COUNT:
                    return

        for name, reader in (("batch_per_s", batches), ("one_per_s", one_at_a_time)):
            figures[name] = statistics.median([await receive(reader) for _ in range(5)])
        figures["event_us"] = 1e6 / figures["batch_per_s"]

    null = ctypes.CDLL(None).abs
    null.argtypes, null.restype = [ctypes.c_int], ctypes.c_int
    figures["call_us"] = per_plain_call(20_000, live_handles)
    figures["null_us"] = per_plain_call(20_000, lambda: null(1))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--runtime-dir", required=True)
    parser.add_argument("--echo", required=True, help="the agent id of the echo agent")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
