"""Renders templates with Jinja2: every value is escaped, and an unprintable character is shown as a question mark.

A template gets `user`, `may(role)`, `csrf_token` and `messages` (for the macros of the frame), `here` (the address of
this page, for the field `next`), `path` (without the query), `static(name)`, `now_ms` (the clock of Redis where the
handler has read it), and the values of its handler.
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

from worker import words
from worker.web.review.static_files import static_url


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
        "now_ms": time.time() * 1000,
    }
    return HTMLResponse(environment().get_template(template).render(shared | values), status_code=status_code)


def here(request: Request) -> str:
    """Return the path and query of a request, to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def printable(value: Any) -> Any:
    """Return text with `?` in place of control, bidirectional and other unprintable characters; else the value."""
    return words.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def lines(value: str) -> Markup:
    """Return text for `<pre>` and `<textarea>`: its line feeds and tabs stay."""
    text = value.replace("\r\n", "\n")
    # The first line feed inside these elements is not shown, so one is put before the text.
    return Markup("\n") + escape(words.printable(text, but="\n\t"))


def number(value: float) -> str:
    """Return a number with thousands separators."""
    return f"{value:,}"


def when(at_ms: float | None) -> str:
    """Return a time in ms since 1970 as ISO 8601 in UTC, for `<time datetime>`; empty without one."""
    found = _time_of(at_ms)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z") if found else ""


def utc(at_ms: float | None) -> str:
    """Return a time in ms as date and time in UTC, to the second; empty without one."""
    return "" if at_ms is None else words.when(at_ms)


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
    """Return how long ago a time (ms) was, by `now_ms` or that of the template."""
    return "" if at_ms is None else words.ago(at_ms, now_ms or context["now_ms"])
