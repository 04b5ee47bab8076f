from collections.abc import Sequence
from typing import Any

from worker.ledger.minutes import Minute
from worker.web.review.day_pictures import DayPictures


class Minutes:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def series(self, *, step: int, instance: str) -> Sequence[Minute | None]:
        assert step == 10
        self.asked.append(instance)
        return [Minute(0, applied=len(self.asked))]


def test_a_picture_is_drawn_once_a_minute_for_each_instance() -> None:
    minutes: Any = Minutes()
    pictures = DayPictures(minutes)
    first = pictures.picture("toolbox", 60_000)
    assert pictures.picture("toolbox", 119_999) == first
    assert pictures.picture("acme", 119_999) != first
    assert pictures.picture("toolbox", 120_000) != first
    assert minutes.asked == ["toolbox", "acme", "toolbox"]


def test_instances_that_are_gone_are_forgotten() -> None:
    minutes: Any = Minutes()
    pictures = DayPictures(minutes)
    for number in range(50):
        pictures.picture(f"instance-{number}", 60_000 * number)
    assert len(pictures._drawn) == 1
