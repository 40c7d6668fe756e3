"""The buffer that a queue is drained into, and the header of the records in it."""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Any

from . import _abi
from ._errors import error

# struct x0x_record: bytes, kind, flags, id, seq, unix_ms, meta_len, payload_len.
RECORD = struct.Struct("<IHHQQQII")


class Buffer:
    """Where a queue is drained to. A batch stays until `records` is set to 0.

    A signal handler may raise as soon as the library has returned, before anything could be
    noted here. But the library itself has noted how many records it wrote: while that number
    is not 0, there is a batch that nobody has taken.
    """

    __slots__ = ("_at", "_size", "_size_ref", "records", "_records_ref", "_memory", "_large")

    def __init__(self) -> None:
        # Pages that are never written to cost nothing, unlike those of a ctypes array.
        self._memory = ctypes.c_char.from_buffer(mmap.mmap(-1, _abi.X0X_DRAIN_HINT))
        self._large: Any = None
        self._at = ctypes.addressof(self._memory)
        self._size = ctypes.c_size_t()
        self._size_ref = ctypes.byref(self._size)
        self.records = ctypes.c_uint32()
        self._records_ref = ctypes.byref(self.records)

    def drain(self, lib: Any, queue: int) -> bool:
        """Fetch a batch, unless there is one; whether the queue may hold more."""
        if self.records.value > 0:
            return True
        if self._large is not None:
            self._at = ctypes.addressof(self._memory)
            self._large = None
        capacity = _abi.X0X_DRAIN_HINT
        while True:
            status: int = lib.x0x_queue_drain(
                queue, self._at, capacity, self._size_ref, self._records_ref
            )
            if status >= 0:
                return status == _abi.X0X_S_MORE
            if status != _abi.X0X_E_TOO_SMALL:
                self._size.value = 0
                if status in (_abi.X0X_E_CLOSED, _abi.X0X_E_BUSY):
                    return False
                raise error(status)
            # One large record: a place for it alone, given back with the next drain.
            capacity = (self._size.value + 7) & ~7
            self._large = (ctypes.c_uint64 * (capacity // 8))()
            self._at = ctypes.addressof(self._large)

    def batch(self) -> bytes:
        return ctypes.string_at(self._at, self._size.value) if self.records.value else b""
