"""A line that clients can cause appears at a limited rate."""

import asyncio

import pytest

from tests.unit.telemetry.captured import Lines
from worker.telemetry import rare_line
from worker.telemetry.rare_line import RareLine


def test_only_a_few_lines_appear_and_the_others_are_counted(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rare_line, "MINUTE_SECONDS", 0.05)

    async def flood() -> None:
        line = RareLine("login_failed", lines=2)
        for number in range(1000):
            line.say(number=number)
        for _ in range(500):
            if len(lines.all) > 2:
                break
            await asyncio.sleep(0.01)

    asyncio.run(flood())
    assert [line.get("number") for line in lines.all] == [0, 1, None]
    assert lines.last["more_in_the_last_minute"] == 998
