"""The MessagePack reader and writer, against the library's encoder and against garbage."""

from __future__ import annotations

import json
import random
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from x0x._msgpack import MAX_DEPTH, pack, unpack

VECTORS = json.loads((Path(__file__).parent / "msgpack_vectors.json").read_text("utf-8"))


def decoded(shown: Any) -> Any:
    """The value of a vector: see msgpack_vectors.go."""
    if isinstance(shown, dict):
        if "hex" in shown:
            return bytes.fromhex(shown["hex"])
        if "int" in shown:
            return int(shown["int"])
        return {k: decoded(v) for k, v in shown.items()}
    return [decoded(v) for v in shown] if isinstance(shown, list) else shown


def vector(v: dict[str, Any]) -> tuple[Any, bytes]:
    encoded = bytes.fromhex(v["encoded"])
    if isinstance(v["value"], dict) and "text" in v["value"]:
        return "x" * v["value"]["text"], encoded + b"x" * v["value"]["text"]
    if isinstance(v["value"], dict) and "bytes" in v["value"]:
        return b"x" * v["value"]["bytes"], encoded + b"x" * v["value"]["bytes"]
    return decoded(v["value"]), encoded


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 40


@pytest.mark.parametrize("v", VECTORS, ids=lambda v: v["encoded"][:24] or "empty")
def test_vectors_of_the_library(v: dict[str, Any]) -> None:
    value, encoded = vector(v)
    assert unpack(encoded) == value
    assert type(unpack(encoded)) is type(value)
    assert pack(value) == encoded


def test_floats_are_read() -> None:
    assert unpack(bytes.fromhex("ca3fc00000")) == 1.5
    assert unpack(bytes.fromhex("cb3ff8000000000000")) == 1.5


@pytest.mark.parametrize("v", VECTORS, ids=lambda v: v["encoded"][:24] or "empty")
def test_every_truncation_is_refused(v: dict[str, Any]) -> None:
    _, encoded = vector(v)
    for n in range(min(len(encoded), 300)):
        with pytest.raises(ValueError):
            unpack(encoded[:n])
    with pytest.raises(ValueError, match="behind the value"):
        unpack(encoded + b"\xc0")


@pytest.mark.parametrize(
    "bomb",
    [
        "ddffffffff",
        "dfffffffff",
        "dcffff" + "c0" * 100,
        "c6ffffffff",
        "dbffffffff00",
        "91" * 200_000 + "c0",
        "81a161" * 1000 + "c0",
    ],
    ids=lambda b: b[:12],
)
def test_bombs_cost_nothing(bomb: str) -> None:
    data = bytes.fromhex(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            unpack(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "bad",
    ["c1", "c7010203", "d40102", "d8" + "00" * 17, "a1ff", "81c0c0", "8190c0", "82a161c0a161c0"],
)
def test_what_is_not_allowed(bad: str) -> None:
    with pytest.raises(ValueError):
        unpack(bytes.fromhex(bad))


def test_depth() -> None:
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = [value]
    assert unpack(pack(value)) == value
    with pytest.raises(ValueError, match="deeper"):
        pack([value])
    with pytest.raises(ValueError, match="deeper"):
        unpack(b"\x91" + pack(value))


@pytest.mark.parametrize("bad", [1.5, object(), {1}, 1 << 64, -(1 << 63) - 1])
def test_what_cannot_be_written(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        pack([bad])


def test_garbage_is_refused_or_read_and_never_worse() -> None:
    seed = random.randrange(sys.maxsize)
    rng = random.Random(seed)
    corpus = [vector(v)[1][:200] for v in VECTORS]
    read = 0
    for _ in range(20_000):
        data = bytearray(rng.choice(corpus) or b"\xc0")
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            value = unpack(bytes(data))
        except ValueError:
            continue
        except Exception as e:
            raise AssertionError(f"seed {seed}: {data.hex()}: {e!r}") from e
        read += 1
        try:
            again = unpack(pack(value))
        except TypeError:
            continue  # a float, which is only read
        assert again == value, f"seed {seed}: {data.hex()}"
    assert read > 100
