"""Makes malformed input for stream and Celery: random, seeded, each kind with a name.

A canary is put wherever content may be, so that a reason or a log line that quotes content is found.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CANARY = "Zq7cAnArYzQ"
TIME = "2026-11-22T10:00:00Z"
FIELDS = ("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data")
KWARGS = ("login_id", "occurred_at", "event_id", "account_id", "instance")
ODD_TEXTS = (
    "\ud800", "\udc00x", "\x00", "a\x00b", "\u202eevil", "\u2066x\u2069", "e\u0301" * 40, "\ufeff", "\u200d",
    "\x1b[31m", "\r\n", "\t", "\x7f", " ", "", " padded", "x" * 257, "\U0001f600", "\u0661\u0662", "\ufffd", "\u2028",
)  # fmt: skip
ABSURD_TIMES = (
    0, -1, 1e308, 1763805600, "1763805600", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "2026-02-30T10:00:00Z",
    "2026-11-22T10:00:00", "2026-11-22", "yesterday", "2026-11-22T25:00:00Z", "2200-01-01T00:00:00Z", None, [], {},
    "1969-12-31T23:59:59Z", "2026-11-22T10:00:00+99:00", "2026-11-22T10:00:00.0000000000000000001Z" * 9, True,
)  # fmt: skip
WRONG_VALUES = (
    None,
    True,
    False,
    0,
    -1,
    5,
    1.5,
    10**30,
    "5",
    [],
    {},
    [[]],
    [{}],
    {"a": {}},
    [CANARY],
    {CANARY: CANARY},
)


@dataclass(frozen=True, slots=True)
class Malformed:
    """One input: `body` for the stream (or `fields`, if there is no such body), or `text` for a Celery message.

    `units` is the expected number of events or rejections; `good` are the loginIds of valid events in it.
    """

    kind: str
    body: bytes | None = None
    fields: Mapping[bytes, bytes] | None = None
    text: str | None = None
    units: int = 1
    good: tuple[str, ...] = field(default=(), repr=False)


def malformed(chance: random.Random, count: int) -> Iterator[Malformed]:
    """Yield `count` inputs of every kind, two thirds of them for the stream; none is larger than 200 kB."""
    kinds = STREAM_KINDS + CELERY_KINDS * (len(STREAM_KINDS) // len(CELERY_KINDS) // 2 + 1)
    for _ in range(count):
        yield chance.choice(kinds)(chance)


def huge(chance: random.Random, size: int, *, through_celery: bool) -> Malformed:
    """Return one input of `size` bytes."""
    padding = CANARY + f"{chance.getrandbits(64):x}" + "x" * size
    if through_celery:
        return Malformed("huge", text=json.dumps([[], _kwargs(chance) | {"login_id": padding}, {}]))
    return Malformed("huge", body=json.dumps(_document(chance) | {"data": {"loginId": padding}}).encode())


def _uuid(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128))


def _document(chance: random.Random) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": f"evt-{_uuid(chance)}",
        "source": CANARY,
        "type": "account.linked",
        "time": TIME,
    }
    return event | {"data": {"loginId": f"{CANARY}-{_uuid(chance)}"}}


def _kwargs(chance: random.Random) -> dict[str, Any]:
    return {"login_id": f"{CANARY}-{_uuid(chance)}", "occurred_at": TIME, "event_id": f"evt-{_uuid(chance)}"}


def _spoiled(chance: random.Random, document: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the event with a mistake in it."""
    times = {"time", "occurred_at"} & set(names)
    name = chance.choice(names)
    how = chance.randrange(6)
    if how == 0:
        required = [*document] if "data" not in document else ["specversion", "id", "source", "type", "time", "data"]
        document.pop(chance.choice([name for name in required if name != "event_id"]))
    elif how == 1:
        document["data" if "data" in document else "login_id"] = chance.choice(WRONG_VALUES[:-2])
        document.setdefault("colour", chance.choice(WRONG_VALUES))
    elif how == 2:
        document[times.pop()] = chance.choice(ABSURD_TIMES)
    elif how == 3:
        document[name] = {CANARY: [chance.random(), {CANARY: name}]}
    elif how == 4:
        target = document.get("data", document)
        target[CANARY + str(chance.random())] = chance.choice(ODD_TEXTS)
    else:
        target, key = (document["data"], "loginId") if "data" in document else (document, "login_id")
        target[key] = CANARY + chance.choice(("\ud800", "\x00", "\u202e", "\x1b[31m", "\r\n", "\u2028", "y" * 300))
    return document


def _text(document: object) -> str:
    return json.dumps(document)


def _wrong_field(chance: random.Random) -> Malformed:
    return Malformed("wrong field", body=_text(_spoiled(chance, _document(chance), FIELDS)).encode())


def _odd_text(chance: random.Random) -> Malformed:
    document = _document(chance)
    document[chance.choice(("id", "source", "subject"))] = chance.choice(ODD_TEXTS)
    return Malformed("odd text", body=_text(document).encode())


def _raw_utf8(chance: random.Random) -> Malformed:
    document = _document(chance) | {"subject": CANARY + chance.choice(ODD_TEXTS)}
    text = json.dumps(document, ensure_ascii=False)
    return Malformed("raw UTF-8", body=text.encode("utf-8", "surrogatepass"))


def _not_finite(chance: random.Random) -> Malformed:
    value = chance.choice((float("nan"), float("inf"), float("-inf")))
    return Malformed("not finite", body=_text(_document(chance) | {"extension": value}).encode())


def _cut_short(chance: random.Random) -> Malformed:
    body = _text(_document(chance)).encode()
    return Malformed("cut short", body=body[: chance.randrange(len(body))] or b"{")


def _flipped(chance: random.Random) -> Malformed:
    body = bytearray(_text(_document(chance)).encode())
    for _ in range(chance.randint(1, 8)):
        body[chance.randrange(1, len(body))] = chance.randrange(256)
    return Malformed("bytes changed", body=bytes(body))


def _noise(chance: random.Random) -> Malformed:
    return Malformed("noise", body=b"\xff" + chance.randbytes(chance.randint(0, 2000)))


def _nested(chance: random.Random) -> Malformed:
    depth = chance.randint(2, 50_000)
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
    middle = chance.choice(("1", ""))
    text = "{" + f'"id": "{_uuid(chance)}", "data": ' + opening * depth + middle + closing * chance.randint(0, depth)
    return Malformed("deep nesting", body=(text + "}").encode())


def _twice(chance: random.Random) -> Malformed:
    text = _text(_document(chance))
    again = ', "time": "' + CANARY + str(chance.random()) + '"}'
    return Malformed("key twice", body=(text[:-1] + again).encode())


def _arrays(chance: random.Random) -> Malformed:
    count = chance.randint(1, 5)
    parts = [[_document(chance)] if chance.random() < 0.5 else chance.choice(WRONG_VALUES) for _ in range(count)]
    parts[0] = [CANARY, str(_uuid(chance))]
    return Malformed("arrays of arrays", body=_text(parts).encode(), units=count)


def _batch(chance: random.Random) -> Malformed:
    """Some valid events among the invalid ones."""
    documents: list[Any] = [_spoiled(chance, _document(chance), FIELDS) for _ in range(chance.randint(3, 30))]
    good = [_document(chance) for _ in range(chance.randint(1, 3))]
    logins = tuple(str(document["data"]["loginId"]) for document in good)
    documents += good
    chance.shuffle(documents)
    return Malformed("batch", body=_text(documents).encode(), units=len(documents), good=logins)


def _long(chance: random.Random) -> Malformed:
    document = _document(chance) | {"subject": CANARY + "x" * chance.randint(300, 200_000)}
    return Malformed("long", body=_text(document).encode())


def _no_such_field(chance: random.Random) -> Malformed:
    fields = {CANARY.encode() + chance.randbytes(chance.randint(0, 9)): chance.randbytes(50) for _ in range(3)}
    return Malformed("no such field", fields=fields)


def _wrong_argument(chance: random.Random) -> Malformed:
    return Malformed("wrong argument", text=_text([[], _spoiled(chance, _kwargs(chance), KWARGS), {}]))


def _positional(chance: random.Random) -> Malformed:
    return Malformed("positional", text=_text([[CANARY, chance.random()], _kwargs(chance), {}]))


def _not_finite_argument(chance: random.Random) -> Malformed:
    value = chance.choice((float("nan"), float("inf")))
    return Malformed("argument not finite", text=_text([[], _kwargs(chance) | {"account_id": value}, {}]))


def _argument_twice(chance: random.Random) -> Malformed:
    text = _text(_kwargs(chance))[:-1] + f', "occurred_at": "{CANARY}{chance.random()}"' + "}"
    return Malformed("argument twice", text=f"[[], {text}, {{}}]")


def _nested_argument(chance: random.Random) -> Malformed:
    depth = chance.randint(2, 300)
    kwargs = _text(_kwargs(chance))[:-1] + ', "account_id": ' + "[" * depth + "]" * depth + "}"
    return Malformed("nested argument", text=f"[[], {kwargs}, {{}}]")


Maker = Callable[[random.Random], Malformed]
STREAM_KINDS: tuple[Maker, ...] = (
    _wrong_field, _odd_text, _raw_utf8, _not_finite, _cut_short, _flipped, _noise, _nested, _twice, _arrays, _batch,
    _long, _no_such_field,
)  # fmt: skip
CELERY_KINDS: tuple[Maker, ...] = (
    _wrong_argument, _positional, _not_finite_argument, _argument_twice, _nested_argument,
)  # fmt: skip
