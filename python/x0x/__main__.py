"""python -m x0x: what is installed, and whether two agents can talk on this machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time

from . import Agent, X0XError, __version__, _abi, _lib, live_handles


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m x0x",
        description="Show the installed version and platform, then let two agents exchange "
        "messages over loopback in a network of their own. Exit status 0: all is well.",
    )
    parser.add_argument("--version", action="version", version=f"x0x {__version__}")
    parser.add_argument("--no-self-test", action="store_true", help="only show, do not test")
    options = parser.parse_args(argv)

    print(f"x0x       {__version__}")
    print(f"python    {platform.python_version()} ({platform.python_implementation()})")
    print(f"platform  {sys.platform} {platform.machine()}, {' '.join(platform.libc_ver())}")
    try:
        print(f"library   {_lib.path()}")
        abi = _lib.library().x0x_abi_version()
        print(f"ABI       {abi >> 16}.{abi & 0xFFFF}, schema {_abi.SCHEMA_HASH}")
        print(f"build     {_lib.build_info()}")
        if not options.no_self_test:
            asyncio.run(_self_test())
    except (X0XError, OSError) as e:
        print(f"failed: {type(e).__name__}: {e}", file=sys.stderr)
        return 1
    return 0


async def _self_test() -> None:
    with tempfile.TemporaryDirectory(prefix="x0x-self-test-") as folder:
        os.chmod(folder, 0o700)
        network = f"x0x.self-test.{os.path.basename(folder)}"
        start = time.perf_counter()

        def step(text: str) -> None:
            print(f"self-test {text} ({(time.perf_counter() - start) * 1000:.0f} ms)")

        async with (
            Agent(runtime_dir=folder, network_id=network) as alice,
            Agent(runtime_dir=folder, network_id=network) as bob,
        ):
            await alice.join_network(timeout=10)
            await bob.join_network(timeout=10)
            step("two agents joined")
            result = await alice.connect_to_agent(bob.agent_id, timeout=10)
            if not result:
                raise OSError(f"the agents did not find each other: {result}")
            step(f"connected: {result}")
            receipt = await alice.send_direct(bob.agent_id, b"ping", timeout=10)
            message = await bob.recv_direct(timeout=10)
            if (message.payload, message.sender) != (b"ping", alice.agent_id):
                raise OSError(f"a different message arrived: {message!r}")
            step(f"direct message acknowledged, path {receipt.path}")
            with_news = bob.subscribe("self-test")
            await alice.publish("self-test", b"news")
            news = await with_news.recv(timeout=10)
            if (news.payload, news.sender) != (b"news", alice.agent_id):
                raise OSError(f"a different message arrived: {news!r}")
            step("topic message verified")
    if live_handles():
        raise OSError(f"{live_handles()} handles of the library were left open")
    print("self-test passed")


if __name__ == "__main__":
    sys.exit(main())
