"""The exception tree."""

from __future__ import annotations

import builtins
import copy
import errno
import pickle

import pytest

import x0x
from x0x import _abi
from x0x._errors import error


def test_each_is_the_builtin_that_people_expect() -> None:
    assert issubclass(x0x.TimeoutError, builtins.TimeoutError)
    assert issubclass(x0x.UnreachableError, builtins.ConnectionError)
    assert issubclass(x0x.DisconnectedError, x0x.ConnectionError)
    assert issubclass(x0x.InvalidArgumentError, ValueError)
    assert issubclass(x0x.IoError, OSError)
    assert issubclass(x0x.ForkedError, RuntimeError)
    for name in x0x.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(x0x, name), x0x.X0XError), name


@pytest.mark.parametrize("status", [s for s in _abi.STATUS_NAMES if s < 0])
@pytest.mark.parametrize("builtin", [OSError, RuntimeError, None])
def test_a_call_can_promise_a_builtin_besides(
    status: int, builtin: type[Exception] | None
) -> None:
    e = error(status, "what happened", _abi.X0X_ERRF_RETRYABLE, builtin)
    plain = type(error(status))
    assert isinstance(e, plain)
    assert builtin is None or isinstance(e, builtin)
    assert (str(e), e.retryable, e.code) == ("what happened", True, plain.code)
    assert type(e).__name__ == plain.__name__
    assert type(error(status, "again", 0, builtin)) is type(e), "one class per pair"
    for twin in (pickle.loads(pickle.dumps(e)), copy.copy(e)):
        assert type(twin) is type(e)
        assert (str(twin), twin.flags) == (str(e), e.flags)


def test_delivered_says_what_is_known() -> None:
    assert error(_abi.X0X_E_TIMEOUT, "", _abi.X0X_ERRF_NOT_DELIVERED).delivered == "no"
    assert error(_abi.X0X_E_TIMEOUT, "", _abi.X0X_ERRF_DELIVERY_UNKNOWN).delivered == "unknown"
    assert error(_abi.X0X_E_TIMEOUT).delivered is None
    assert not error(_abi.X0X_E_TIMEOUT).retryable


def test_errno_of_opening() -> None:
    e = error(_abi.X0X_E_NOT_FOUND, "no such file", 0, OSError)
    assert isinstance(e, OSError) and e.errno == errno.ENOENT
    assert str(e) == "no such file"


def test_an_empty_message_still_names_the_kind() -> None:
    assert str(error(_abi.X0X_E_BUSY)) == "X0X_E_BUSY (-202)"
