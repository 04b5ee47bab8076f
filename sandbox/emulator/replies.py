"""The body of every answer, in the shapes that Flinks documents.

A success is a JSON *string*, a failure an object with HttpStatusCode, Message and FlinksCode.
"""

from dataclasses import dataclass

from pydantic_core import to_json

JSON_TYPE = b"application/json; charset=utf-8"
HTML_TYPE = b"text/html; charset=utf-8"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete HTTP answer; `headers` come on top of content-type and content-length."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON_TYPE
    headers: Headers = ()

    @property
    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers in ASGI form; content-length is the length of the whole body."""
        length = str(len(self.body)).encode()
        return [(b"content-type", self.content_type), (b"content-length", length), *self.headers]


def confirmation(login_id: str, *, is_activated: bool) -> Reply:
    """Return Flinks' 200: the flag of `login_id` now has the requested state."""
    state = "activated" if is_activated else "deactivated"
    return Reply(200, to_json(f"LoginId {login_id} has now been {state} for automatic refresh"))


def text(message: str) -> Reply:
    """Return a 200 whose JSON string is `message`."""
    return Reply(200, to_json(message))


def failure(status: int, code: str, message: str, *, stated_status: int | None = None, headers: Headers = ()) -> Reply:
    """Return an error object; `stated_status` is its HttpStatusCode if it differs from the HTTP status."""
    body = {"HttpStatusCode": stated_status or status, "Message": message, "FlinksCode": code}
    return Reply(status, to_json(body), headers=headers)


def html(status: int, title: str) -> Reply:
    """Return the error page of a proxy in front of Flinks."""
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{status} {title}</h1></body></html>"
    return Reply(status, page.encode(), content_type=HTML_TYPE)


def invalid_login(status: int) -> Reply:
    """Return INVALID_LOGIN: the login is unknown, or belongs to another customer."""
    return failure(status, "INVALID_LOGIN", "LoginId is invalid or does not belong to the CustomerId.")


def invalid_request(message: str) -> Reply:
    """Return INVALID_REQUEST; `message` names the field and the rule."""
    return failure(400, "INVALID_REQUEST", message)


def access_denied() -> Reply:
    """Return the answer to a wrong key."""
    return failure(401, "ACCESS_DENIED", "The key is missing or is not accepted.")
