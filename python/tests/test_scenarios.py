"""The shared scenario list, one test for each."""

from __future__ import annotations

from typing import Any

import pytest
import run_scenarios

SCENARIOS = run_scenarios.load(run_scenarios.DEFAULT)


def test_the_list_is_there() -> None:
    assert len(SCENARIOS) >= 40


@pytest.mark.parametrize("spec", SCENARIOS, ids=lambda s: s["name"])
def test_scenario(spec: dict[str, Any]) -> None:
    run_scenarios.run(spec)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([{"actor": "a", "call": "identity", "expect": {"agent_id": "@a.machine"}}], "agent_id is"),
        ([{"actor": "a", "call": "identity", "error": "closed"}], "closed was expected"),
        ([{"actor": "a", "call": "no such call"}], "unknown call"),
        ([{"actor": "a", "call": "peers", "expect": {"total": 0}}], "has no total"),
        (
            [{"actor": "a", "call": "send", "args": {"to": {"hex": "00"}, "payload": ""}}],
            "must be 32 bytes, got 1",
        ),
    ],
)
def test_the_runner_notices(steps: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(run_scenarios.Failure) as e:
        run_scenarios.run({"name": "broken", "agents": {"a": {}}, "steps": steps})
    assert says in str(e.value)
