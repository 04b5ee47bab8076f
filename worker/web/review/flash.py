"""A message that the next page shows once, carried by a signed cookie."""

import base64
import json
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from worker.web.review.cookies import FLASH, Signing, delete_cookie, set_cookie

Kind = Literal["done", "wrong"]
MOST_CHARACTERS = 300
MOST_BYTES = 3500
"""Maximum size of the cookie's value; browsers refuse cookies of more than 4,096 bytes."""
_ELLIPSIS = "..."


class Message(NamedTuple):
    """What a page says about the last action."""

    text: str
    kind: str = "done"


def flash(request: Request, text: str, kind: Kind = "done") -> None:
    """Have the next page show `text` once. It must not hold a loginId or another secret."""
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS - len(_ELLIPSIS)] + _ELLIPSIS
    request.state.flashed.append(Message(text, kind))


def read_flash(request: Request, signing: Signing) -> list[Message]:
    """Return the messages that the browser carries; none if the cookie is not ours."""
    text = signing.text_of(FLASH, request.cookies.get(FLASH, ""))
    return [] if text is None else [Message(*item) for item in json.loads(base64.urlsafe_b64decode(text))]


def write_flash(request: Request, response: Response, signing: Signing) -> None:
    """Give the browser the messages for its next page, or delete those that this page has shown."""
    shown: bool = request.state.messages_shown
    messages = request.state.flashed if shown else [*request.state.messages, *request.state.flashed]
    if request.state.flashed and messages:
        set_cookie(response, FLASH, signing.sign(FLASH, _encode(messages)))
    elif shown and FLASH in request.cookies:
        delete_cookie(response, FLASH)


def _encode(messages: list[Message]) -> str:
    """Return the newest messages that fit into a cookie."""
    encoded = base64.urlsafe_b64encode(json.dumps(messages).encode()).decode()
    return encoded if len(encoded) <= MOST_BYTES else _encode(messages[1:])
