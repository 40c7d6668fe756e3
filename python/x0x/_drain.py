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
    """Where a queue is drained to."""

    __slots__ = ("at", "size", "_size_ref", "_records_ref", "_memory", "_large")

    def __init__(self) -> None:
        # Pages that are never written to cost nothing, unlike those of a ctypes array.
        self._memory = ctypes.c_char.from_buffer(mmap.mmap(-1, _abi.X0X_DRAIN_HINT))
        self._large: Any = None
        self.at = ctypes.addressof(self._memory)
        self.size = ctypes.c_size_t()
        self._size_ref = ctypes.byref(self.size)
        self._records_ref = ctypes.byref(ctypes.c_uint32())

    def drain(self, lib: Any, queue: int) -> int:
        """X0X_OK or X0X_S_MORE, with `size` bytes `at`."""
        if self._large is not None:
            self._large, self.at = None, ctypes.addressof(self._memory)
        capacity = _abi.X0X_DRAIN_HINT
        while True:
            status: int = lib.x0x_queue_drain(
                queue, self.at, capacity, self._size_ref, self._records_ref
            )
            if status >= 0:
                return status
            capacity, self.size.value = (self.size.value + 7) & ~7, 0
            if status != _abi.X0X_E_TOO_SMALL:
                if status in (_abi.X0X_E_CLOSED, _abi.X0X_E_BUSY):
                    return _abi.X0X_OK
                raise error(status)
            # One large record: a place for it alone, given back with the next drain.
            self._large = (ctypes.c_uint64 * (capacity // 8))()
            self.at = ctypes.addressof(self._large)
