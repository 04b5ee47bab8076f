import xml.etree.ElementTree as ET

from worker.web.review.charts import DAY_MS, SLOTS, Minute, day_picture, day_slots, progress_bar, span, sparkline

NOW = 1_800_000_000_000
NASTY = '<script>alert("x")</script>'


def minute(minutes_ago: float, *, applied: int = 10, failed: int = 0, oldest: float = 1.0) -> Minute:
    return Minute(NOW - int(minutes_ago * 60_000), applied, failed, oldest)


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
    day = day_picture([minute(1)], NOW)
    for picture in (sparkline([1], NASTY), progress_bar({"done": 1}, 2, NASTY), day):
        assert "style=" not in picture
        assert "<script" not in picture


def test_segments_of_a_progress_bar_follow_one_another() -> None:
    svg = ET.fromstring(progress_bar({"done": 50, "failed": 25}, 100, "75 of 100"))
    _, done, failed = svg.iter("rect")
    assert (done.get("x"), done.get("width")) == ("0.00", "50.00")
    assert (failed.get("x"), failed.get("width")) == ("50.00", "25.00")
    assert len(list(ET.fromstring(progress_bar({"done": 0}, 0, "no rows")).iter("rect"))) == 2


def test_minutes_are_averaged_in_slots_and_missing_slots_stay_gaps() -> None:
    slots = day_slots([minute(0, applied=10, oldest=2), minute(1, applied=30, oldest=7), minute(60)], NOW)
    assert len(slots) == SLOTS
    known = {place: slot for place, slot in enumerate(slots) if slot}
    assert len(known) in {2, 3}
    assert max(slot.oldest_due_seconds for slot in known.values()) == 7


def test_minutes_older_than_a_day_or_from_the_future_are_not_shown() -> None:
    assert not any(day_slots([Minute(NOW - DAY_MS - 600_000, 1, 1, 1), Minute(NOW + 900_000, 1, 1, 1)], NOW))


def test_no_line_is_drawn_across_a_gap() -> None:
    whole = day_picture([minute(ago) for ago in range(300)], NOW)
    gap = day_picture([minute(ago) for ago in range(300) if not 100 < ago < 200], NOW)
    assert whole.count("M") < gap.count("M")
    assert "of 1,440 minutes there are no counts" in gap


def test_one_slot_alone_is_visible() -> None:
    paths = [path.get("d", "") for path in ET.fromstring(f"<p>{day_picture([minute(0)], NOW)}</p>").iter("path")]
    assert all(" " in path for path in paths)
    assert len(paths) == 3


def test_without_counts_the_picture_says_so() -> None:
    assert "No minute" in day_picture([], NOW)


def test_durations_are_written_in_words() -> None:
    assert [span(seconds) for seconds in (0, 90, 600, 10_000, 1_000_000)] == ["0 s", "90 s", "10 min", "3 h", "12 d"]
