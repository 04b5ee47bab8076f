"""Reads the body of a form, with limits on its size, its duration and the number of its fields."""

import asyncio
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from worker.errors import NightlyError

PUBLIC_BYTES = 16 * 1024
"""Maximum size of a form that anybody can send, such as that of the sign-in page."""
MOST_BYTES = 4 * 1024 * 1024
"""Maximum size of a form of a person who has signed in: 100,000 selected letters, or the body of a message."""
MOST_FIELDS = 110_000
LINGER_BYTES = 16 * 1024 * 1024
"""Bytes over the limit that are read and discarded. If they were not, the connection would be reset before the client
reads the response."""
BODY_SECONDS = 10.0
_MEDIA_TYPE = "application/x-www-form-urlencoded"

Form = ImmutableMultiDict[str, str]
NO_FORM: Form = ImmutableMultiDict()


class FormRefused(NightlyError):
    """The body is not a form that the page accepts. `status` is that of the response."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


async def read_form(request: Request, *, most_bytes: int = MOST_BYTES) -> Form:
    """Return the fields of an URL-encoded body; raises FormRefused, and ClientDisconnect."""
    body = await read_body(request, most_bytes=most_bytes)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and media_type != _MEDIA_TYPE:
        raise FormRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"This address takes forms: {_MEDIA_TYPE}.")
    try:
        text = body.decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:  # also UnicodeDecodeError
        raise FormRefused(HTTPStatus.BAD_REQUEST, "The form cannot be read: it is not URL-encoded UTF-8.") from None
    return ImmutableMultiDict(fields)


async def read_body(request: Request, *, most_bytes: int) -> bytes:
    """Return the body; raises FormRefused if it is too large or too slow, and ClientDisconnect."""
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most_bytes:
                    body += chunk
                elif size > LINGER_BYTES:
                    break
    except TimeoutError:
        message = f"The body did not arrive within {BODY_SECONDS:g} s."
        raise FormRefused(HTTPStatus.REQUEST_TIMEOUT, message) from None
    if size > most_bytes:
        message = f"The body is larger than {most_bytes:,} bytes, so nothing was done."
        raise FormRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    return bytes(body)
