"""`/`: the groups of open dead letters, what to do about each, and the state of the system in one line each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from worker.ledger.group_views import GroupView
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.minutes import in_steps
from worker.operations.advice import LetterAdvice, letter_advice
from worker.operations.group_actions import GroupName
from worker.operations.overview import Overview, read_overview
from worker.web.review.charts import day_picture, sparkline
from worker.web.review.flash import flash
from worker.web.review.redirects import back
from worker.web.review.rendering import render, utc
from worker.web.review.requests import actor_of, moment_of, number_of, parts_of, text_of
from worker.words import span

STEP_MINUTES = 10
"""Width of one point of the picture."""
Stat = tuple[str, str, str]
"""Name, value and remark."""


@dataclass(frozen=True, slots=True)
class Row:
    """One group as the page shows it."""

    number: int
    """Its place on the page, for the ids of its fields."""
    group: GroupView
    advice: LetterAdvice
    sparkline: Markup

    @property
    def names(self) -> Mapping[str, str]:
        """Return the group as fields of a form."""
        return {"instance": self.group.instance, "code": self.group.code, "wish": self.group.wish}

    @property
    def filters(self) -> Mapping[str, str]:
        """Return the filter of its open letters, for forms and addresses."""
        return LetterFilter.of_group(self.group.instance, self.group.code, self.group.wish).to_query()

    @property
    def href(self) -> str:
        """Return the address of the list of its letters."""
        return f"/letters?{urlencode(self.filters)}"


def show(request: Request) -> Response:
    """Show what needs a person, the last 24 hours, and the groups: those that are acknowledged or muted come last."""
    parts = parts_of(request)
    seen = read_overview(parts.client, parts.settings)
    rows = [_row(number, group) for number, group in enumerate(parts.group_views.read(), 1)]
    return render(
        request,
        "groups.html",
        now_ms=seen.now_ms,
        alarms=seen.alarms,
        gates=[gate for gate in seen.gates if not gate.needs_action],
        stats=_stats(seen),
        picture=day_picture(in_steps(seen.minutes, STEP_MINUTES)),
        open_letters=seen.state["dead_letters_open"],
        groups=[row for row in rows if row.group.state == "open"],
        quiet=[row for row in rows if row.group.state != "open"],
    )


def acknowledge(request: Request) -> Response:
    """Hide a group from the list of what needs a person, until it has more letters than now."""
    parts_of(request).group_actions.acknowledge(
        _group(request),
        by=actor_of(request),
        letters=number_of(request, "letters"),
        version=number_of(request, "version"),
    )
    flash(request, f"{_name(request)} is acknowledged: it comes back when it grows.")
    return back(request)


def mute(request: Request) -> Response:
    """Hide a group from the list of what needs a person, until a time."""
    until_ms = moment_of(request, "until")
    parts_of(request).group_actions.mute(
        _group(request), until_ms, by=actor_of(request), version=number_of(request, "version")
    )
    flash(request, f"{_name(request)} is muted until {utc(until_ms)} UTC.")
    return back(request)


def reopen(request: Request) -> Response:
    """End an acknowledgement or a mute."""
    parts_of(request).group_actions.reopen(**_seen(request))
    flash(request, f"{_name(request)} is open again.")
    return back(request)


def assign(request: Request) -> Response:
    """Give a group to a person, or to nobody."""
    owner = text_of(request, "owner")
    parts_of(request).group_actions.assign(
        _group(request), owner, by=actor_of(request), version=number_of(request, "version")
    )
    flash(request, f"{_name(request)} is now {owner}'s." if owner else f"{_name(request)} has no owner now.")
    return back(request)


def _row(number: int, group: GroupView) -> Row:
    label = f"{group.new_letters:,} new letters in 24 hours, by hour: {', '.join(map(str, group.by_hour))}"
    return Row(number, group, letter_advice(group.code, group.wish), sparkline(group.by_hour, label))


def _stats(seen: Overview) -> list[Stat]:
    rate = "unknown" if seen.calls_per_second is None else f"{seen.calls_per_second:,g}/s"
    ceiling = f"of at most {seen.ceiling:,g}/s" if seen.ceiling else "no call was made yet"
    late = f"the oldest is due for {span(seen.oldest_due_seconds)}" if seen.oldest_due_seconds >= 1 else "none is late"
    return [
        ("Events in", f"{seen.events_in:,}", "in the last 24 h"),
        ("Applied", f"{seen.applied:,}", "in the last 24 h"),
        ("Waiting", f"{seen.waiting:,}", late),
        ("Calls now", rate, ceiling),
    ]


def _seen(request: Request) -> dict[str, Any]:
    """Return the group that the person acts on, who that is, and which version of it was on the screen."""
    return {"group": _group(request), "by": actor_of(request), "version": number_of(request, "version")}


def _group(request: Request) -> GroupName:
    return GroupName(text_of(request, "instance"), text_of(request, "code"), text_of(request, "wish"))


def _name(request: Request) -> str:
    group = _group(request)
    words = group.code, f"(wish {group.wish})" if group.wish else "", f"on {group.instance}" if group.instance else ""
    return " ".join(filter(None, words))
