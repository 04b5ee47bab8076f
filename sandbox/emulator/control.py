"""The control API under `/_emulator/`: sets faults, logins and keys at run time, and reads the calls.

Requests and answers contain loginIds, which are test data. An invalid request gets 422 with one sentence for each
mistake, and changes nothing. A request that may come from a web page gets 403.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.emulator.calls import Moment
from sandbox.emulator.knobs import KNOBS, AnyFault
from sandbox.emulator.state import Customer, Emulator

_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
Handler = Callable[[Request], Awaitable[Response]]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginsOrder(_Order):
    """Which logins exist, for one customer or all; omitted fields stay unchanged."""

    customer_id: str | None = None
    unknown: frozenset[str] | None = None
    known: frozenset[str] | None = None
    """A closed list; null: every login that is not unknown."""
    invalid_login_status: Literal[400, 401] | None = None


class KeysOrder(_Order):
    """The keys accepted from now on, for one customer or all; null accepts any."""

    customer_id: str | None = None
    keys: frozenset[str] | None


class IneligibleCard(_Order):
    """One card of GetNightlyRefreshStatus."""

    LoginId: str
    LastRefreshDate: str | None = "2020-06-18T03:26:34.6854364"
    LastRefreshState: str | None = "AnsweringSecurityChallenge"
    LastRefreshErrorCode: str | None = None


class NightlyStatusOrder(_Order):
    """The answer of GetNightlyRefreshStatus, with or without the error fields of Flinks' own sample."""

    customer_id: str | None = None
    cards: list[IneligibleCard]
    message: str | None = None
    flinks_code: str | None = None


class CallsQuery(_Order):
    """Which calls to return."""

    since: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=50_000)] = 10_000


def _as_list(value: Any, validate: Callable[[Any], list[AnyFault]]) -> list[AnyFault]:
    return validate([value] if isinstance(value, dict) else value)


_FAULTS: TypeAdapter[list[AnyFault]] = TypeAdapter(Annotated[list[AnyFault], WrapValidator(_as_list)])


def _sentence(error: Any) -> str:
    """Return one sentence on the mistake in a field, with the valid names."""
    path = [str(part) for part in error["loc"]]
    knob = next((part for part in path if part in KNOBS), None)
    if error["type"].startswith("union_tag"):
        return f"fault {path[0]}: there is no such knob; the knobs are: {', '.join(sorted(KNOBS))}"
    if error["type"] == "extra_forbidden":
        names = f"; {knob} takes: {', '.join(sorted(KNOBS[knob].model_fields))}" if knob else ""
        return f"{'.'.join(path)}: is not a parameter{names}"
    return f"{'.'.join(path) or 'body'}: {error['msg'].removeprefix('Value error, ')}"


def _json(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def _refusal(request: Request) -> str | None:
    """Return why a request may come from a web page in a local browser, which can also reach loopback; else None.

    A page's requests carry Origin or Sec-Fetch-Site. After DNS rebinding, Host holds the page's own name.
    """
    if not _LOOPBACK_HOST.fullmatch(request.headers.get("host", "")):
        return "Host: the control API answers only to 127.0.0.1, localhost and [::1]"
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
        return "Origin: the control API refuses requests of web pages"
    return None


def _guarded(handle: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        if refusal := _refusal(request):
            return _json({"errors": [refusal]}, 403)
        try:
            return await handle(request)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return _json({"errors": [_sentence(item) for item in found]}, 422)
        except KeyError:
            return _json({"errors": ["customer_id: this emulator has no such customer"]}, 422)

    return guarded


class Control:
    """The handlers, one per path and method."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def health(self, _: Request) -> Response:
        """Report that the emulator is up, with its customer ids."""
        return _json({"status": "ok", "customer_ids": list(self._emulator.world.customers)})

    async def state(self, _: Request) -> Response:
        """Return every flag that was written, by customer and login."""
        return _json(self._emulator.world.state())

    async def calls(self, request: Request) -> Response:
        """Return the calls after `since`, at most `limit` of them."""
        query = CallsQuery.model_validate(dict(request.query_params))
        return _json(self._emulator.world.log.page(query.since, query.limit))

    async def stats(self, _: Request) -> Response:
        """Return every counter."""
        return _json(self._emulator.world.log.stats(Moment.now()))

    async def faults(self, _: Request) -> Response:
        """List the faults that are set."""
        return _json(self._emulator.world.faults.report())

    async def replace_faults(self, request: Request) -> Response:
        """Set these faults and no others."""
        wanted = _FAULTS.validate_json(await request.body())
        self._emulator.world.faults.clear()
        self._emulator.world.faults.add(wanted, Moment.now().monotonic)
        return await self.faults(request)

    async def add_faults(self, request: Request) -> Response:
        """Set further faults, one object or a list."""
        self._emulator.world.faults.add(_FAULTS.validate_json(await request.body()), Moment.now().monotonic)
        return await self.faults(request)

    async def lift_faults(self, request: Request) -> Response:
        """Remove every fault, or the one whose number is in the path."""
        number = request.path_params.get("number")
        if not self._emulator.world.faults.clear(number) and number is not None:
            return _json({"errors": [f"no fault has the number {number}"]}, 404)
        return await self.faults(request)

    async def set_logins(self, request: Request) -> Response:
        """Set which logins exist."""
        order = LoginsOrder.model_validate_json(await request.body())
        for customer in self._chosen(order.customer_id):
            if "unknown" in order.model_fields_set:
                customer.unknown = order.unknown or frozenset()
            if "known" in order.model_fields_set:
                customer.known = order.known
        if order.invalid_login_status is not None:
            self._emulator.world.invalid_login_status = order.invalid_login_status
        return Response(status_code=204)

    async def set_keys(self, request: Request) -> Response:
        """Set which keys are accepted."""
        order = KeysOrder.model_validate_json(await request.body())
        self._emulator.world.set_keys(order.keys, order.customer_id)
        return Response(status_code=204)

    async def set_nightly_status(self, request: Request) -> Response:
        """Set the answer of GetNightlyRefreshStatus."""
        order = NightlyStatusOrder.model_validate_json(await request.body())
        status: dict[str, Any] = {"IneligibleCards": [card.model_dump() for card in order.cards]}
        optional = {"Message": order.message, "FlinksCode": order.flinks_code}
        status |= {name: value for name, value in optional.items() if value is not None}
        for customer in self._chosen(order.customer_id):
            customer.nightly_status = status
        return Response(status_code=204)

    async def reset(self, _: Request) -> Response:
        """Forget everything since the start."""
        self._emulator.reset()
        return Response(status_code=204)

    def _chosen(self, customer_id: str | None) -> list[Customer]:
        return self._emulator.world.chosen(customer_id)


def control_app(emulator: Emulator, prefix: str) -> Starlette:
    """Build the application that serves `prefix`."""
    control = Control(emulator)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/health", control.health),
        ("GET", "/state", control.state),
        ("GET", "/calls", control.calls),
        ("GET", "/stats", control.stats),
        ("GET", "/faults", control.faults),
        ("PUT", "/faults", control.replace_faults),
        ("POST", "/faults", control.add_faults),
        ("DELETE", "/faults", control.lift_faults),
        ("DELETE", "/faults/{number:int}", control.lift_faults),
        ("PUT", "/logins", control.set_logins),
        ("PUT", "/keys", control.set_keys),
        ("PUT", "/nightly-status", control.set_nightly_status),
        ("POST", "/reset", control.reset),
    ]
    return Starlette(
        routes=[Route(prefix + path, _guarded(handle), methods=[method]) for method, path, handle in table]
    )
