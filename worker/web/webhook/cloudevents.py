"""Extracts the CloudEvents of a request: structured or batch mode from its body, binary mode from `ce-*` headers.

Each becomes a document as in a stream entry, so an event means the same however it was sent (CloudEvents 1.0, HTTP
protocol binding).
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from worker.errors import InvalidEvent
from worker.events.contract import decode_json
from worker.events.models import CloudEvent

MAX_EVENTS = 500
PREFIX = "ce-"
_UTF8 = re.compile(r"utf-?8", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})|(.)", re.DOTALL)
_NOT_ATTRIBUTES = frozenset({"data", "datacontenttype"})
"""Not allowed as headers: in binary mode the body is the data, and Content-Type is its type."""

Attributes = Sequence[tuple[str, str]]
"""The `ce-*` headers: names in lower case, values as they were sent, sorted."""


class Mode(StrEnum):
    """How a request encodes events; the value is the media type."""

    STRUCTURED = "application/cloudevents+json"
    BATCH = "application/cloudevents-batch+json"
    BINARY = "application/json"


class TooManyEvents(Exception):
    """A batch has more than MAX_EVENTS events."""


def mode_of(content_type: str, content_encoding: str) -> Mode | None:
    """Return the mode that a request's headers name, or None if such a body is not supported."""
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    named = [parameter.partition("=") for parameter in parameters]
    charsets = [value.strip('" ') for name, _, value in named if name.strip().lower() == "charset"]
    if content_encoding.strip().lower() not in {"", "identity"} or not all(map(_UTF8.fullmatch, charsets)):
        return None
    return next((mode for mode in Mode if mode == media_type.lower()), None)


def attributes_of(headers: Sequence[tuple[str, str]]) -> Attributes:
    """Return the `ce-*` headers of a request, sorted."""
    return sorted((name, value) for name, value in headers if name.startswith(PREFIX))


def signed_content(mode: Mode, attributes: Attributes, body: bytes) -> bytes:
    r"""Return what the signature covers: the body; in binary mode `name:value\n` for each attribute, `\n`, the body.

    The text is unique: a header has no line break, and no JSON begins with "ce-".
    """
    if mode is not Mode.BINARY:
        return body
    return "".join(f"{name}:{value}\n" for name, value in attributes).encode("latin-1") + b"\n" + body


def documents_in(mode: Mode, attributes: Attributes, body: bytes) -> list[object]:
    """Return the documents, not validated; raises InvalidEvent if there is no document to find, and TooManyEvents."""
    if mode is Mode.BINARY:
        return [_from_headers(attributes) | {"datacontenttype": mode.value, "data": decode_json(body)}]
    document = decode_json(body)
    if mode is Mode.STRUCTURED:
        return [document]
    if not isinstance(document, list):
        raise InvalidEvent("body: must be an array of events")
    if not document:
        raise InvalidEvent("body: is an empty array")
    if len(document) > MAX_EVENTS:
        raise TooManyEvents
    return document


def _from_headers(attributes: Attributes) -> dict[str, object]:
    document: dict[str, object] = {}
    for header, value in attributes:
        name = header.removeprefix(PREFIX)
        shown = header if name in CloudEvent.model_fields else "ce-(another attribute)"
        if name in _NOT_ATTRIBUTES:
            raise InvalidEvent(f"{shown}: is not a header; the body is the data")
        if name in document:
            raise InvalidEvent(f"{shown}: appears twice")
        try:
            document[name] = decode_value(value)
        except ValueError:
            raise InvalidEvent(
                f"{shown}: must be printable ASCII; other characters are percent-encoded as UTF-8"
            ) from None
    return document


def decode_value(value: str) -> str:
    """Return a header's value without its quotes, if any, and percent-decoded once; raises ValueError."""
    quoted = _QUOTED.fullmatch(value)
    text = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else value
    if not text.isascii():
        raise ValueError("not ASCII")
    raw = _ESCAPED.sub(lambda part: chr(int(part[1], 16)) if part[1] else part[2], text)
    return raw.encode("latin-1").decode()
