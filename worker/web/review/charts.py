"""Draws the pictures of the review page as inline SVG: a sparkline, the last 24 hours, a progress bar. Does no I/O.

The page forbids style attributes, so colours come from CSS classes. Texts and axes of the large picture are HTML around
the SVG, because text inside it would shrink with it on a phone. Every picture has a text for screen readers.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from markupsafe import Markup

from worker.words import span

STEP_MINUTES = 10
"""Width of one point of the large picture."""
LATE_SECONDS = 10
"""An oldest due login of less is drawn low: it is the usual wait for a turn."""
_SPARK_STEP, _SPARK_HEIGHT = 4, 24
_HEIGHT = 60


class Step(Protocol):
    """The counts of STEP_MINUTES, and the age of the oldest due login at their end."""

    @property
    def applied(self) -> int:
        """Wishes that Flinks confirmed."""
        ...

    @property
    def failures(self) -> int:
        """Calls that were retried, throttled or given up."""
        ...

    @property
    def oldest_due_seconds(self) -> float:
        """How long the oldest due login has waited."""
        ...


def sparkline(counts: Sequence[int], label: str) -> Markup:
    """Return one bar for each count, from the oldest to the newest; `label` is its text."""
    most = max(counts, default=0) or 1
    bars = [_bar(place, count, most) for place, count in enumerate(counts)]
    box = f"0 0 {max(len(counts), 1) * _SPARK_STEP} {_SPARK_HEIGHT}"
    return Markup(
        '<svg class="spark" viewBox="{}" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>'
    ).format(box, label, Markup().join(bars))


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


def day_picture(steps: Sequence[Step | None]) -> Markup:
    """Return the last 24 hours in two plots: calls a minute (applied, failed) and the age of the oldest due login.

    `steps` are the oldest first. None is a gap, and no line is drawn across it.
    """
    known = [step for step in steps if step]
    if not known:
        return Markup(
            '<p class="dim">Nothing was counted in the last 24 hours yet. Live workers count once a minute.</p>'
        )
    most = max(max(step.applied, step.failures) for step in known) or 1
    age = max(LATE_SECONDS, *(step.oldest_due_seconds for step in known))
    calls = _area("applied", [step.applied / most if step else None for step in steps])
    calls += _line("failed", [step.failures / most if step and step.failures else None for step in steps])
    oldest = _area("oldest", [step.oldest_due_seconds / age if step else None for step in steps])
    width, texts = len(steps), _texts(known)
    label = f"The last 24 hours: {', '.join(texts.values())}.{_gaps(len(steps) - len(known))}"
    return Markup(
        '<figure class="day"><div class="plots">{}{}</div>'
        '<div class="axis" aria-hidden="true"><span>24 h ago</span><span>18 h</span><span>12 h</span><span>6 h</span>'
        "<span>now</span></div><figcaption>{}</figcaption></figure>"
    ).format(
        _plot(calls, width, label, ""),
        _plot(oldest, width, f"Age of the oldest due login in the last 24 hours: {texts['oldest']}.", "low"),
        _legend(texts),
    )


def _texts(known: Sequence[Step]) -> dict[str, str]:
    """Return what the large picture shows, in words, by the CSS class of each part."""
    most = max(step.applied for step in known) / STEP_MINUTES
    digits = 0 if most == 0 or most >= 10 else 1  # noqa: PLR2004 - two digits are enough
    return {
        "applied": f"{sum(step.applied for step in known):,} applied, at most {most:,.{digits}f} a minute",
        "failed": f"{sum(step.failures for step in known):,} failed",
        "oldest": f"oldest due at most {span(max(step.oldest_due_seconds for step in known))}",
    }


def _gaps(missing: int) -> str:
    return f" For {span(missing * STEP_MINUTES * 60)} nothing was counted." if missing else ""


def _legend(texts: Mapping[str, str]) -> Markup:
    item = Markup('<span><span class="key {}" aria-hidden="true"></span> {}</span> ')
    return Markup().join(item.format(name, text) for name, text in texts.items())


def _bar(place: int, count: int, most: int) -> Markup:
    height = max(2.0, (_SPARK_HEIGHT - 1) * count / most) if count else 1.0
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        "bar" if count else "none", place * _SPARK_STEP, f"{_SPARK_HEIGHT - height:.1f}", _SPARK_STEP - 1,
        f"{height:.1f}",
    )  # fmt: skip


def _plot(content: Markup, width: int, label: str, kind: str) -> Markup:
    return Markup(
        '<svg class="plot {}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>'
    ).format(kind, width, _HEIGHT, label, content)


def _area(name: str, shares: Sequence[float | None]) -> Markup:
    """Return a filled shape for each run of known values."""
    shapes = [f"M{start} {_HEIGHT}L{_points(start, run)} {start + len(run)} {_HEIGHT}Z" for start, run in _runs(shares)]
    return Markup('<path class="{}" d="{}"/>').format(name, "".join(shapes))


def _line(name: str, shares: Sequence[float | None]) -> Markup:
    """Return a line for each run of known values."""
    shapes = [f"M{_points(start, run)}" for start, run in _runs(shares)]
    return Markup('<path class="{} line" d="{}"/>').format(name, "".join(shapes))


def _points(start: int, run: Sequence[float]) -> str:
    """Return a line through the middle of each step, from the beginning of the first to the end of the last."""
    middles = [(start + place + 0.5, share) for place, share in enumerate(run)]
    places = [(start, run[0]), *middles, (start + len(run), run[-1])]
    return " ".join(f"{place:g} {_height(share)}" for place, share in places)


def _height(share: float) -> str:
    return f"{_HEIGHT - 1 - share * (_HEIGHT - 3):.1f}"


def _runs(shares: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """Yield the first place and the values of each run without a gap."""
    for is_known, group in groupby(enumerate(shares), lambda pair: pair[1] is not None):
        if is_known:
            found = [(place, share) for place, share in group if share is not None]
            yield found[0][0], [share for _, share in found]
