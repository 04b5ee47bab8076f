"""Renders templates with Jinja2: every value is escaped, and an unprintable character is shown as a question mark.

A template gets `user`, `may(role)`, `csrf_token` and `messages` (for the macros of the frame), `here` (the address of
this page, for the field `next`), `path` (without the query), `static(name)`, and the values of its handler.
"""

import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from worker.web.review.static_files import static_url

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_JUST_NOW_SECONDS = 2


@cache
def environment() -> Environment:
    """Return the templates of the page."""
    found = Environment(
        loader=PackageLoader("worker.web.review", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "ago": ago, "when": when, "utc": utc, "utc_input": utc_input}
    found.filters |= {"printable": printable, "lines": lines}
    found.globals["static"] = static_url
    return found


def render(request: Request, template: str, status_code: int = 200, **values: Any) -> Response:
    """Return a page; it shows the messages of the last action, and deletes them."""
    state = request.state
    state.messages_shown = True
    shared = {
        "user": state.user,
        "may": lambda role: state.user is not None and state.user.may(role),
        "csrf_token": state.csrf_token,
        "messages": state.messages,
        "here": here(request),
        "path": request.url.path,
    }
    return HTMLResponse(environment().get_template(template).render(shared | values), status_code=status_code)


def here(request: Request) -> str:
    """Return the path and query of a request, to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def printable(value: Any) -> Any:
    """Return text with `?` in place of control, bidirectional and other unprintable characters; else the value."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else "?" for char in value)


def lines(value: str) -> Markup:
    """Return text for `<pre>` and `<textarea>`: its line feeds and tabs stay."""
    text = value.replace("\r\n", "\n")
    # The first line feed inside these elements is not shown, so one is put before the text.
    return Markup("\n") + escape("".join(char if char.isprintable() or char in "\n\t" else "?" for char in text))


def number(value: float) -> str:
    """Return a number with thousands separators."""
    return f"{value:,}"


def when(at_ms: float | None) -> str:
    """Return a time in ms since 1970 as ISO 8601 in UTC, for `<time datetime>`; empty without one."""
    found = _time_of(at_ms)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z") if found else ""


def utc(at_ms: float | None) -> str:
    """Return a time in ms as date and time in UTC, to the second; empty without one."""
    found = _time_of(at_ms)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found else ""


def utc_input(at_ms: float | str) -> str:
    """Return a time in ms, also as text, for an input of the type `datetime-local`, in UTC; empty for anything else."""
    digits = str(at_ms)
    found = _time_of(int(digits)) if digits.isascii() and digits.isdigit() else None
    return f"{found:%Y-%m-%dT%H:%M}" if found else ""


def _time_of(at_ms: float | None) -> datetime | None:
    try:
        return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):  # beyond year 9999: an event may claim it
        return None


@pass_context
def ago(context: Context, at_ms: float | None, now_ms: float | None = None) -> str:
    """Return how long ago a time (ms) was, in one unit, by `now_ms` of the template, or this machine's clock."""
    if at_ms is None:
        return ""
    return time_between(at_ms, now_ms or context.get("now_ms") or time.time() * 1000)


def time_between(at_ms: float, now_ms: float) -> str:
    """Return `at_ms` relative to `now_ms`, such as `5 min ago`, `in 2 h` or `just now`."""
    seconds = abs(now_ms - at_ms) / 1000
    if seconds < _JUST_NOW_SECONDS:
        return "just now"
    name, length = next(unit for unit in _UNITS if seconds >= unit[1])
    count = int(seconds // length)
    text = f"{count:,} {name}{'s' if name == 'day' and count > 1 else ''}"
    return f"in {text}" if at_ms > now_ms else f"{text} ago"
