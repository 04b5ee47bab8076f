"""Handlers of pages that show only their title."""

from starlette.requests import Request
from starlette.responses import Response

from worker.web.review.endpoint import Handler
from worker.web.review.flash import flash
from worker.web.review.redirects import back
from worker.web.review.rendering import render


def page(title: str) -> Handler:
    """Return a handler that shows a title."""

    def show(request: Request) -> Response:
        return render(request, "empty.html", title=title)

    return show


def action() -> Handler:
    """Return a handler that does nothing, and goes back."""

    def act(request: Request) -> Response:
        flash(request, "This action is not available yet; nothing was done.", "wrong")
        return back(request)

    return act
