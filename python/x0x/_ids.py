"""Ids: SHA-256 of an ML-DSA-65 public key, one type for each role."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from . import _abi
from ._errors import InvalidArgumentError

_T = TypeVar("_T", bound="Id")


class Id:
    """32 bytes that name a key. Immutable, hashable, equal only to ids of the same type."""

    __slots__ = ("_raw",)

    _role: ClassVar[str] = "Id"
    _raw: bytes

    def __init__(self, raw: bytes) -> None:
        if not isinstance(raw, (bytes, bytearray, memoryview)):
            raise TypeError(f"{self._role} takes bytes, not {type(raw).__name__}")
        raw = bytes(raw)
        if len(raw) != _abi.X0X_ID_SIZE:
            raise InvalidArgumentError(
                f"{self._role} must be {_abi.X0X_ID_SIZE} bytes, got {len(raw)}"
            )
        object.__setattr__(self, "_raw", raw)

    @classmethod
    def from_hex(cls: type[_T], hex_str: str) -> _T:
        """The id of 64 hex digits, in either case."""
        if not isinstance(hex_str, str):
            raise TypeError(f"{cls._role}.from_hex takes str, not {type(hex_str).__name__}")
        try:
            # bytes.fromhex skips blanks; an id has none.
            if any(c.isspace() for c in hex_str):
                raise ValueError("blank in hex digits")
            raw = bytes.fromhex(hex_str)
        except ValueError as e:
            raise InvalidArgumentError(f"Invalid hex encoding: {e}") from None
        return cls(raw)

    from_string = from_hex
    from_str = from_hex

    @classmethod
    def of(cls: type[_T], value: _T | str | bytes) -> _T:
        """The id that a caller meant: an id of this type, 64 hex digits or 32 bytes."""
        if type(value) is cls:
            return value
        if isinstance(value, str):
            return cls.from_hex(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return cls(bytes(value))
        raise TypeError(
            f"expected {cls._role}, 64 hex digits or 32 bytes, not {type(value).__name__}"
        )

    def to_hex(self) -> str:
        return self._raw.hex()

    def to_bytes(self) -> bytes:
        return self._raw

    def __bytes__(self) -> bytes:
        return self._raw

    def __str__(self) -> str:
        return self._raw.hex()

    def __repr__(self) -> str:
        return f"{self._role}('{self._raw[:8].hex()}')"

    def __hash__(self) -> int:
        return hash(self._raw)

    def __eq__(self, other: object) -> bool:
        return self._raw == other._raw if type(other) is type(self) else NotImplemented

    def __lt__(self: _T, other: _T) -> bool:
        return self._raw < other._raw if type(other) is type(self) else NotImplemented

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self._role} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self._role} is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._raw,)


class MachineId(Id):
    """Names a machine key: the endpoint that connections are pinned to."""

    __slots__ = ()
    _role = "MachineId"


class AgentId(Id):
    """Names an agent key: who signs topic messages and to whom direct messages go."""

    __slots__ = ()
    _role = "AgentId"


class UserId(Id):
    """Names the key of the person behind an agent, where one was made known."""

    __slots__ = ()
    _role = "UserId"
