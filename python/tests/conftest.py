"""Shared by the tests: networks of their own, and nothing left open by anybody."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import x0x

PACKAGE = Path(__file__).resolve().parent.parent
WAIT = 20.0  # seconds; how long a test waits for what must happen, before it fails

_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Without a library there is nothing to test: say so at once.

    A job that a shell started in the background has SIGINT ignored, and so would the programs
    that the tests interrupt; they inherit the default when there is a handler here.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get("X0X_LIBRARY") and not (PACKAGE / "x0x" / "libx0x.so").is_file():
        built = PACKAGE.parent / ".build" / "lib" / "libx0x.so"
        if not built.is_file():
            raise pytest.UsageError("no libx0x: run `make lib`, or set X0X_LIBRARY")
        os.environ["X0X_LIBRARY"] = str(built)


def eventually(condition: Callable[[], Any], what: str = "", timeout: float = WAIT) -> Any:
    """The first true value of condition(), for what has no event to wait for."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"did not happen in {timeout} s: {what or condition}"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test gives back every handle of the library."""
    yield
    gc.collect()
    eventually(lambda: x0x.live_handles() == 0, "no live handles", 5)


@pytest.fixture
def where(tmp_path: Path) -> dict[str, Any]:
    """Options of agents that can only meet each other."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return {
        "runtime_dir": str(folder),
        "network_id": f"x0x.test.{os.getpid()}.{next(_numbers)}.{time.time_ns()}",
    }


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """asyncio.run with a bound, so that nothing hangs."""

    async def bounded() -> Any:
        return await asyncio.wait_for(coroutine, 2 * WAIT)

    return asyncio.run(bounded())


@asynccontextmanager
async def pair(where: dict[str, Any]) -> AsyncIterator[tuple[x0x.Agent, x0x.Agent]]:
    """Two agents that are connected."""
    async with x0x.Agent(**where) as a, x0x.Agent(**where) as b:
        await a.join_network(timeout=WAIT)
        await b.join_network(timeout=WAIT)
        assert await a.connect_to_agent(b.agent_id, timeout=WAIT)
        yield a, b


def python(
    code: str, *args: str, timeout: float = 60, env: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code, *args],
        env=child_env(env),
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def child_env(env: dict[str, str] | None = None) -> dict[str, str]:
    merged = {**os.environ, "PYTHONPATH": str(PACKAGE), **(env or {})}
    return {name: value for name, value in merged.items() if value}
