"""Draws the pictures of the review page as inline SVG: a sparkline, the last 24 hours, a progress bar. Does no I/O.

The page forbids style attributes, so colours come from CSS classes. Texts and axes of the large picture are HTML around
the SVG, because text inside it would shrink with it on a phone. Every picture has a text for screen readers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

DAY_MS = 86_400_000
SLOT_MS = 600_000
"""Width of one point of the large picture."""
SLOTS = DAY_MS // SLOT_MS
_SPARK_STEP, _SPARK_HEIGHT = 4, 24
_WIDTH, _HEIGHT = SLOTS - 1, 60


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute at `at_ms`: wishes applied, calls that failed, and the age of the oldest due login at its end."""

    at_ms: int
    applied: int
    failed: int
    oldest_due_seconds: float


@dataclass(frozen=True, slots=True)
class Slot:
    """Ten minutes of the large picture. Rates are calls a minute."""

    applied: float
    failed: float
    oldest_due_seconds: float


def sparkline(counts: Sequence[int], label: str) -> Markup:
    """Return one bar for each count, from the oldest to the newest; `label` is its text."""
    most = max(counts, default=0) or 1
    bars = [_bar(place, count, most) for place, count in enumerate(counts)]
    box = f"0 0 {max(len(counts), 1) * _SPARK_STEP} {_SPARK_HEIGHT}"
    return Markup('<svg class="spark" viewBox="{}" role="img"><title>{}</title>{}</svg>').format(
        box, label, Markup().join(bars)
    )


def progress_bar(parts: Mapping[str, int], total: int, label: str) -> Markup:
    """Return one bar with a segment for each part, by its class (`done`, `failed`, `other`), out of `total`."""
    segments, start = [], 0.0
    for name, count in parts.items():
        width = 100 * count / total if total else 0.0
        segments.append(
            Markup('<rect class="{}" x="{}" width="{}" height="1"/>').format(name, f"{start:.2f}", f"{width:.2f}")
        )
        start += width
    return Markup(
        '<svg class="progress" viewBox="0 0 100 1" preserveAspectRatio="none" role="img"><title>{}</title>'
        '<rect class="rest" width="100" height="1"/>{}</svg>'
    ).format(label, Markup().join(segments))


def day_picture(minutes: Sequence[Minute], now_ms: int) -> Markup:
    """Return the last 24 hours in two plots: calls a minute (applied, failed) and the age of the oldest due login.

    Minutes without a value are gaps: a line is never drawn across them.
    """
    slots = day_slots(minutes, now_ms)
    known = [slot for slot in slots if slot]
    if not known:
        return Markup('<p class="dim">No minute of the last 24 hours was counted yet.</p>')
    rate = max(max(slot.applied, slot.failed) for slot in known) or 1
    age = max(slot.oldest_due_seconds for slot in known) or 1
    calls = _area("applied", [slot.applied / rate if slot else None for slot in slots])
    calls += _line("failed", [slot.failed / rate if slot else None for slot in slots])
    oldest = _area("oldest", [slot.oldest_due_seconds / age if slot else None for slot in slots])
    text = day_text(minutes, known, len(slots))
    return Markup(
        '<figure class="day"><div class="plots">{}{}</div>'
        '<div class="axis" aria-hidden="true"><span>24 h ago</span><span>18 h</span><span>12 h</span><span>6 h</span>'
        "<span>now</span></div><figcaption>{}</figcaption></figure>"
    ).format(
        _plot(calls, f"Calls a minute in the last 24 hours. {text}", ""),
        _plot(oldest, f"Oldest due login in the last 24 hours: at most {span(_oldest(known))}.", "low"),
        _legend(minutes, known),
    )


def day_slots(minutes: Sequence[Minute], now_ms: int) -> list[Slot | None]:
    """Return the last 24 hours in slots of ten minutes, oldest first; None: no minute of it was counted."""
    slots: list[Slot | None] = [None] * SLOTS
    end = (now_ms // SLOT_MS + 1) * SLOT_MS
    begin = end - DAY_MS
    within = sorted((minute for minute in minutes if begin <= minute.at_ms < end), key=lambda minute: minute.at_ms)
    for place, group in groupby(within, lambda minute: (minute.at_ms - begin) // SLOT_MS):
        found = list(group)
        slots[place] = Slot(
            sum(minute.applied for minute in found) / len(found),
            sum(minute.failed for minute in found) / len(found),
            max(minute.oldest_due_seconds for minute in found),
        )
    return slots


def day_text(minutes: Sequence[Minute], known: Sequence[Slot], slots: int) -> str:
    """Return the large picture in words."""
    applied, failed = sum(minute.applied for minute in minutes), sum(minute.failed for minute in minutes)
    missing = slots - len(known)
    gaps = f" For {missing * SLOT_MS // 60_000:,} of 1,440 minutes there are no counts." if missing else ""
    return f"{applied:,} applied, {failed:,} failed.{gaps}"


def span(seconds: float) -> str:
    """Return a duration in words, such as `4 min`."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def _legend(minutes: Sequence[Minute], known: Sequence[Slot]) -> Markup:
    applied, failed = sum(minute.applied for minute in minutes), sum(minute.failed for minute in minutes)
    most = max(slot.applied for slot in known)
    items = [
        ("applied", f"{applied:,} applied, at most {most:,.0f} a minute"),
        ("failed", f"{failed:,} failed"),
        ("oldest", f"oldest due: at most {span(_oldest(known))}"),
    ]
    return Markup().join(
        Markup('<span><span class="key {}" aria-hidden="true"></span> {}</span> ').format(name, text)
        for name, text in items
    )


def _oldest(known: Sequence[Slot]) -> float:
    return max(slot.oldest_due_seconds for slot in known)


def _bar(place: int, count: int, most: int) -> Markup:
    height = max(2.0, (_SPARK_HEIGHT - 1) * count / most) if count else 1.0
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        "bar" if count else "none", place * _SPARK_STEP, f"{_SPARK_HEIGHT - height:.1f}", _SPARK_STEP - 1,
        f"{height:.1f}",
    )  # fmt: skip


def _plot(content: Markup, label: str, kind: str) -> Markup:
    return Markup(
        '<svg class="plot {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>'
    ).format(kind, _WIDTH, _HEIGHT, label, content)


def _area(name: str, shares: Sequence[float | None]) -> Markup:
    """Return a filled shape for each run of known values."""
    shapes = [
        f"M{start} {_HEIGHT}L{' '.join(_points(start, run))} {start + max(len(run) - 1, 0.6):g} {_HEIGHT}Z"
        for start, run in _runs(shares)
    ]
    return Markup('<path class="{}" d="{}"/>').format(name, "".join(shapes))


def _line(name: str, shares: Sequence[float | None]) -> Markup:
    """Return a line for each run of known values."""
    shapes = [f"M{' '.join(_points(start, run))}" for start, run in _runs(shares)]
    return Markup('<path class="{} line" d="{}"/>').format(name, "".join(shapes))


def _points(start: int, run: Sequence[float]) -> list[str]:
    places = [f"{start + place} {_height(share)}" for place, share in enumerate(run)]
    return places if len(run) > 1 else [*places, f"{start + 0.6:g} {_height(run[0])}"]


def _height(share: float) -> str:
    return f"{_HEIGHT - 1 - share * (_HEIGHT - 3):.1f}"


def _runs(shares: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """Yield the first place and the values of each run without a gap."""
    for is_known, group in groupby(enumerate(shares), lambda pair: pair[1] is not None):
        if is_known:
            found = [(place, share) for place, share in group if share is not None]
            yield found[0][0], [share for _, share in found]
