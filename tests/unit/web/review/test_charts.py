import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from worker.web.review.charts import LATE_SECONDS, day_picture, progress_bar, sparkline


@dataclass(frozen=True)
class Counts:
    applied: int = 100
    failures: int = 0
    oldest_due_seconds: float = 1.0


STEP = Counts()
NASTY = '<script>alert("x")</script>'


def test_a_sparkline_has_a_bar_for_each_hour_and_a_text() -> None:
    svg = ET.fromstring(sparkline([0] * 20 + [1, 2, 4, 8], "15 in the last 24 hours"))
    assert svg.findtext("title") == "15 in the last 24 hours"
    heights = [float(bar.get("height", "")) for bar in svg.iter("rect")]
    assert len(heights) == 24
    assert heights[20:] == sorted(heights[20:])
    assert heights[0] < heights[20]


def test_a_sparkline_of_nothing_is_drawn() -> None:
    assert len(list(ET.fromstring(sparkline([0] * 24, "none")).iter("rect"))) == 24
    assert ET.fromstring(sparkline([], "none")) is not None


def test_pictures_have_no_style_attribute_and_escape_their_texts() -> None:
    day = day_picture([STEP])
    for picture in (sparkline([1], NASTY), progress_bar({"done": 1}, 2, NASTY), day):
        assert "style=" not in picture
        assert "<script" not in picture


def test_segments_of_a_progress_bar_follow_one_another() -> None:
    svg = ET.fromstring(progress_bar({"done": 50, "failed": 25}, 100, "75 of 100"))
    _, done, failed = svg.iter("rect")
    assert (done.get("x"), done.get("width")) == ("0.00", "50.00")
    assert (failed.get("x"), failed.get("width")) == ("50.00", "25.00")
    assert len(list(ET.fromstring(progress_bar({"done": 0}, 0, "no rows")).iter("rect"))) == 2


def test_no_line_is_drawn_across_a_gap() -> None:
    whole, gap = day_picture([STEP] * 144), day_picture([STEP] * 40 + [None] * 20 + [STEP] * 84)
    assert whole.count("M") < gap.count("M")
    assert "For 3 h 20 min nothing was counted" in gap


def test_one_step_alone_is_visible() -> None:
    for steps in ([None] * 143 + [STEP], [STEP]):
        paths = [path.get("d", "") for path in ET.fromstring(f"<p>{day_picture(steps)}</p>").iter("path")]
        assert len(paths) == 3
        for path in filter(None, paths):
            places = [float(point) for point in re.findall(r"([\d.]+) [\d.]+", path)]
            assert (min(places), max(places)) == (len(steps) - 1, len(steps))


def test_the_line_of_failures_is_only_where_there_are_any() -> None:
    steps = [STEP, STEP, Counts(failures=3), STEP, STEP]
    (line,) = re.findall(r'class="failed line" d="([^"]*)"', day_picture(steps))
    assert [float(place) for place in re.findall(r"([\d.]+) [\d.]+", line)] == [2, 2.5, 3]
    assert 'class="failed line" d=""' in day_picture([STEP])


def test_the_picture_says_in_words_what_it_shows() -> None:
    picture = day_picture([STEP, Counts(applied=1_200, failures=7, oldest_due_seconds=300), None])
    assert "1,300 applied, at most 120 a minute" in picture
    assert "7 failed" in picture
    assert "at most 0.4 a minute" in day_picture([Counts(applied=4)])
    assert "oldest due at most 5 min" in picture


def test_a_short_wait_is_drawn_low_and_the_longest_late_one_in_full() -> None:
    for seconds, height in ((0.5, 56), (LATE_SECONDS, 2), (300, 2)):
        (area,) = re.findall(r'class="oldest" d="([^"]*)"', day_picture([Counts(oldest_due_seconds=seconds)]))
        assert round(min(float(top) for top in re.findall(r"[\d.]+ ([\d.]+)", area))) == height


def test_without_counts_the_picture_says_so() -> None:
    assert "Nothing was counted" in day_picture([None] * 144)
    assert "Nothing was counted" in day_picture([])
