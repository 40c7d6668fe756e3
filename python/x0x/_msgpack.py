"""A bounded MessagePack reader and writer for the arrays of the C ABI.

Arrays, maps, text, bytes, integers, floats, booleans and nil; no extension types. The reader
refuses what is nested deeper than 16, claims more elements than it has bytes (a length bomb),
is truncated, is not UTF-8 or carries anything behind its value: unpack() raises ValueError
and never allocates more than the input could justify.
"""

from __future__ import annotations

import struct
from typing import Any

MAX_DEPTH = 16  # a nesting bomb stops here, long before the interpreter's own stack does

_FIXED: dict[int, struct.Struct] = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
# First byte -> (family, bytes of its length field).
_SIZED = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip


def unpack(data: bytes) -> Any:
    """The one value that `data` holds. Raises ValueError for anything else."""
    value, end = _value(data, 0, MAX_DEPTH)
    if end != len(data):
        raise ValueError(f"msgpack: {len(data) - end} bytes behind the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(data):
        raise ValueError("msgpack: truncated")
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if first >= 0xE0:
        return first - 0x100, at
    if first < 0x90:
        return _items(data, at, first & 0x0F, depth, True)
    if first < 0xA0:
        return _items(data, at, first & 0x0F, depth, False)
    if first < 0xC0:
        return _text(data, at, first & 0x1F)
    if first == 0xC0:
        return None, at
    if first == 0xC2 or first == 0xC3:
        return first == 0xC3, at
    fixed = _FIXED.get(first)
    if fixed is not None:
        if at + fixed.size > len(data):
            raise ValueError("msgpack: truncated")
        return fixed.unpack_from(data, at)[0], at + fixed.size
    family, width = _SIZED.get(first, ("", 0))
    if not family:
        raise ValueError(f"msgpack: type byte 0x{first:02x} is not allowed")
    if at + width > len(data):
        raise ValueError("msgpack: truncated")
    size = int.from_bytes(data[at : at + width], "big")
    at += width
    if family == "bin":
        if at + size > len(data):
            raise ValueError("msgpack: truncated")
        return data[at : at + size], at + size
    if family == "str":
        return _text(data, at, size)
    return _items(data, at, size, depth, family == "map")


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    if at + size > len(data):
        raise ValueError("msgpack: truncated")
    try:
        return data[at : at + size].decode(), at + size
    except UnicodeDecodeError as e:
        raise ValueError("msgpack: text is not UTF-8") from e


def _items(data: bytes, at: int, count: int, depth: int, pairs: bool) -> tuple[Any, int]:
    if depth == 0:
        raise ValueError(f"msgpack: nested deeper than {MAX_DEPTH}")
    if count * (2 if pairs else 1) > len(data) - at:
        raise ValueError("msgpack: more elements than bytes")
    if not pairs:
        items = []
        for _ in range(count):
            item, at = _value(data, at, depth - 1)
            items.append(item)
        return items, at
    table: dict[Any, Any] = {}
    for _ in range(count):
        key, at = _value(data, at, depth - 1)
        if not isinstance(key, (str, int)):
            raise ValueError("msgpack: a map key is neither text nor a number")
        if key in table:
            raise ValueError(f"msgpack: the map key {key!r} appears twice")
        table[key], at = _value(data, at, depth - 1)
    return table, at


def pack(value: Any) -> bytes:
    """The shortest encoding of a value made of the types above (no floats)."""
    out = bytearray()
    _pack(out, value, MAX_DEPTH)
    return bytes(out)


def _pack(out: bytearray, value: Any, depth: int) -> None:
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _pack_int(out, value)
    elif isinstance(value, str):
        text = value.encode()
        _pack_head(out, len(text), (0xA0, 31), (0xD9, 0xDA, 0xDB))
        out += text
    elif isinstance(value, (bytes, bytearray)):
        _pack_head(out, len(value), None, (0xC4, 0xC5, 0xC6))
        out += value
    elif depth == 0:
        raise ValueError(f"msgpack: nested deeper than {MAX_DEPTH}")
    elif isinstance(value, (list, tuple)):
        _pack_head(out, len(value), (0x90, 15), (None, 0xDC, 0xDD))
        for item in value:
            _pack(out, item, depth - 1)
    elif isinstance(value, dict):
        _pack_head(out, len(value), (0x80, 15), (None, 0xDE, 0xDF))
        for key, item in value.items():
            _pack(out, key, depth - 1)
            _pack(out, item, depth - 1)
    else:
        raise TypeError(f"msgpack: cannot encode {type(value).__name__}")


def _pack_int(out: bytearray, value: int) -> None:
    if 0 <= value < 0x80:
        out.append(value)
    elif -0x20 <= value < 0:
        out.append(value + 0x100)
    else:
        sizes = (8, 16, 32, 64)
        for i, bits in enumerate(sizes):
            if 0 <= value < 1 << bits:
                out.append(0xCC + i)
                out += value.to_bytes(bits // 8, "big")
                return
            if -1 << (bits - 1) <= value < 0:
                out.append(0xD0 + i)
                out += value.to_bytes(bits // 8, "big", signed=True)
                return
        raise ValueError("msgpack: the integer needs more than 64 bits")


def _pack_head(
    out: bytearray,
    size: int,
    short: tuple[int, int] | None,
    long: tuple[int | None, int, int],
) -> None:
    if short is not None and size <= short[1]:
        out.append(short[0] | size)
    elif long[0] is not None and size < 1 << 8:
        out += bytes((long[0], size))
    elif size < 1 << 16:
        out.append(long[1])
        out += size.to_bytes(2, "big")
    else:
        out.append(long[2])
        out += size.to_bytes(4, "big")
