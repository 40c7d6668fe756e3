"""The library's log, brought to logging.getLogger('x0x').

Silent by default: a NullHandler, and no bridge. The first agent that is made while somebody
listens (a handler on 'x0x' or above it, or a call of bridge_logs()) starts one daemon thread,
which waits in the library and never runs code of the library inside Python's locks.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from . import _abi, _lib, _msgpack
from ._drain import RECORD, Buffer
from ._lib import scratch

logger = logging.getLogger("x0x")
logger.addHandler(logging.NullHandler())

_lock = threading.Lock()
_bridge: _Bridge | None = None


def bridge() -> None:
    """Start the bridge if somebody listens. Cheap when nobody does."""
    if _bridge is None and _heard():
        bridge_logs()


def bridge_logs(level: int | None = None) -> None:
    """Send the library's log records of `level` (of `logging`) and above to the logger 'x0x'.

    Without a level, the one that the logger has now. Called again, it changes the level.
    """
    global _bridge
    level = logger.getEffectiveLevel() if level is None else level
    with _lock:
        if _bridge is None:
            _bridge = _Bridge()
            _lib.before_exit.append(_bridge.stop)
        _bridge.set_level(level)


def bridged() -> int:
    """How many queues of the library the bridge holds: one or none."""
    return 0 if _bridge is None else 1


def _heard() -> bool:
    """Whether a handler other than ours would get records of the logger."""
    at: logging.Logger | None = logger
    while at is not None:
        if any(not isinstance(h, logging.NullHandler) for h in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


# slog's levels and logging's: four steps apart there, ten here.
def _to_logging(level: int) -> int:
    return max(1, logging.INFO + level * 10 // 4)


def _from_logging(level: int) -> int:
    return max(-1000, min(1000, (level - logging.INFO) * 4 // 10))


class _Bridge:
    def __init__(self) -> None:
        self._lib = _lib.library()
        self._buffer = Buffer()
        place = scratch
        place.check(self._lib.x0x_queue_new(None, place.u64_ref, place.err_ref))
        self._queue = place.u64.value
        self._thread = threading.Thread(target=self._run, name="x0x-log", daemon=True)
        self._thread.start()

    def set_level(self, level: int) -> None:
        scratch.check(self._lib.x0x_log_to_queue(self._queue, _from_logging(level)))

    def stop(self) -> None:
        self._lib.x0x_log_to_queue(self._queue, _abi.X0X_LOG_OFF)
        self._lib.x0x_handle_close(self._queue)
        self._thread.join(0.5)

    def _run(self) -> None:
        while True:
            # Bounded, so that the thread passes through Python now and then.
            status = self._lib.x0x_queue_wait(self._queue, 1_000)
            if status < 0:
                return
            if status == _abi.X0X_OK:
                self._drain()

    def _drain(self) -> None:
        buffer = self._buffer
        buffer.drain(self._lib, self._queue)
        chunk = buffer.batch()
        buffer.records.value = 0
        at = 0
        while at < len(chunk):
            size, kind, _, _, _, ms, meta_len, _ = RECORD.unpack_from(chunk, at)
            meta = chunk[at + 40 : at + 40 + meta_len]
            at += max(size, RECORD.size)
            if kind == _abi.X0X_R_LOG:
                self._emit(_msgpack.unpack(meta), ms)
            elif kind == _abi.X0X_R_LAGGED:
                logger.warning("%d log records were dropped", _msgpack.unpack(meta)[0])

    def _emit(self, meta: list[Any], ms: int) -> None:
        level, message, attributes = _to_logging(meta[0]), meta[1], meta[2] or {}
        if not logger.isEnabledFor(level):
            return
        text = message + "".join(f" {name}={value}" for name, value in attributes.items())
        record = logger.makeRecord(
            logger.name, level, "libx0x", 0, text, (), None, extra={"x0x": attributes}
        )
        record.created = ms / 1000
        logger.handle(record)
