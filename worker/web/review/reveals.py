"""After an audited reveal, lets the next page of that letter show the loginId, once.

The browser carries a permission, never the loginId. A page that is loaded again has no form to send again, so it
neither shows the loginId nor reveals it a second time.
"""

import hmac
import time

from starlette.requests import Request
from starlette.responses import Response

from worker.web.review.cookies import REVEAL, delete_cookie, set_cookie

VALID_SECONDS = 60
"""From the reveal to the page that shows it."""
_SHOWN = "shown"


def permit_reveal(request: Request, response: Response, letter_id: str) -> None:
    """Have the next page of the letter in this session show its loginId."""
    ends_at = str(int(time.time()) + VALID_SECONDS)
    set_cookie(response, REVEAL, f"{ends_at}.{_mac(request, letter_id, ends_at)}", max_age=VALID_SECONDS)


def may_show(request: Request, letter_id: str) -> bool:
    """Return whether this page shows the loginId of the letter: a part of a page that renews itself never does."""
    ends_at, _, mac = request.cookies.get(REVEAL, "").partition(".")
    if not mac.isascii() or not ends_at.isdecimal() or not request.state.user.may("admin"):
        return False
    is_ours = hmac.compare_digest(mac, _mac(request, letter_id, ends_at))
    return is_ours and time.time() < int(ends_at) and "hx-request" not in request.headers


def end_permission(response: Response) -> None:
    """Have no further page show it."""
    set_cookie(response, REVEAL, _SHOWN)


def forget_shown(request: Request, response: Response) -> None:
    """Delete the cookie of a reveal that a page has shown, with the response to the request after it.

    A change of a cookie keeps Chromium from showing that page again from its memory when the person goes back.
    """
    if request.cookies.get(REVEAL) == _SHOWN:
        delete_cookie(response, REVEAL)


def _mac(request: Request, letter_id: str, ends_at: str) -> str:
    text = f"{request.state.browser}\0{letter_id}\0{ends_at}"
    return str(request.app.state.access.signing.mac("reveal", text))
