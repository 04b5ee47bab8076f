"""The emulated Flinks endpoints: SetScheduledRefresh and GetNightlyRefreshStatus, as Flinks documents them.

A call is first checked (key, request, login); then the configured faults may change the result. The flag is written
before the answer starts, unless a fault or a disconnected client delays it. The emulator never answers 500 by itself.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote_to_bytes

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from sandbox.emulator import replies
from sandbox.emulator.calls import Call, Moment
from sandbox.emulator.effects import Asked, Effect
from sandbox.emulator.replies import Reply
from sandbox.emulator.state import Emulator, World
from sandbox.emulator.wire import Exchange, Seen

_JSON_TYPE = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_OK = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """A parsed request body; `problem` is None if it is valid."""

    login_id: str | None = None
    wish: bool | None = None
    problem: str | None = None


def read_request(content_type: str | None, body: bytes) -> Reading:
    """Parse a SetScheduledRefresh body strictly, as the contract does: a JSON boolean and a string."""
    if not _JSON_TYPE.fullmatch(content_type or ""):
        return Reading(problem="Content-Type must be application/json.")
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError:
        return Reading(problem="The body is not JSON.")
    if not isinstance(document, dict):
        return Reading(problem="The body must be an object.")
    login_id, wish = document.get("loginId", ""), document.get("isActivated")
    if not isinstance(login_id, str):
        return Reading(problem="loginId must be a string.")
    if not isinstance(wish, bool):
        return Reading(login_id or None, problem="isActivated is required and must be true or false.")
    return Reading(login_id or None, wish)


class FlinksApi:
    """The emulated endpoints as an ASGI application."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by path and method."""
        exchange = Exchange(scope, receive, send)
        match scope["raw_path"].split(b"/"):
            case [b"", b"v3", customer, b"BankingServices", b"SetScheduledRefresh"]:
                method, handle = "PATCH", self._set_scheduled_refresh
            case [b"", b"v3", customer, b"BankingServices", b"GetNightlyRefreshStatus"]:
                method, handle = "GET", self._get_nightly_refresh_status
            case _:
                await exchange.answer(replies.html(404, "Not Found"))
                return
        if exchange.method != method:
            await exchange.answer(Reply(405, headers=((b"allow", method.encode()),)))
            return
        customer_id = unquote_to_bytes(customer).decode("utf-8", "replace").lower()
        await handle(exchange, customer_id)

    async def _set_scheduled_refresh(self, exchange: Exchange, customer_id: str) -> None:
        body = await exchange.body()
        if body is None:
            return
        world, now = self._emulator.world, Moment.now()
        reading = read_request(exchange.header(b"content-type"), body)
        asked = Asked(customer_id, reading.login_id, reading.wish, now.wall)
        call = world.log.begin(asked, now)
        reply = _judge(world, customer_id, reading, exchange)
        effect = world.faults.apply(Effect(reply, commits=reply.status == _OK), asked, now.monotonic)
        world.log.strike(call, effect.knobs)
        await _perform(world, call, effect, exchange)

    async def _get_nightly_refresh_status(self, exchange: Exchange, customer_id: str) -> None:
        customer = self._emulator.world.customers.get(customer_id)
        scheme, _, secret = (exchange.header(b"authorization") or "").partition(" ")
        secrets = self._emulator.options.api_secrets
        if customer is None or scheme != "Bearer" or not secret or (secrets and secret not in secrets):
            await exchange.answer(replies.access_denied())
            return
        document = {"HttpStatusCode": 200, "IneligibleCards": [], **customer.nightly_status}
        await exchange.answer(Reply(_OK, to_json(document)))


def _judge(world: World, customer_id: str, reading: Reading, exchange: Exchange) -> Reply:
    presented = exchange.header(b"flinks-auth-key") or exchange.header(b"authorization")
    if not world.accepts(customer_id, presented):
        return replies.access_denied()
    if reading.problem is not None:
        return replies.invalid_request(reading.problem)
    if reading.login_id is None or reading.wish is None or not world.knows(customer_id, reading.login_id):
        return replies.invalid_login(world.invalid_login_status)
    return replies.confirmation(reading.login_id, is_activated=reading.wish)


async def _perform(world: World, call: Call, effect: Effect, exchange: Exchange) -> None:
    clock = asyncio.get_running_loop().time
    due = clock() + effect.delay_seconds
    if effect.delay_seconds and await exchange.client_left_within(effect.delay_seconds):
        ended: Seen = "client_left", None
        late_seconds: float | None = max(0.0, due - clock()) + (effect.late_seconds or 0)
    else:
        if effect.commits and effect.late_seconds is None:
            world.commit(call, Moment.now())
        ended = await exchange.play(effect)
        late_seconds = effect.late_seconds
    world.log.end(call, *ended, Moment.now())
    if effect.commits and late_seconds is not None:
        _commit_later(world, call, late_seconds, asyncio.get_running_loop().call_later)


def _commit_later(world: World, call: Call, seconds: float, call_later: Callable[..., object]) -> None:
    world.log.late_writes_pending += 1
    call_later(seconds, partial(_commit_late, world, call))


def _commit_late(world: World, call: Call) -> None:
    world.log.late_writes_pending -= 1
    world.commit(call, Moment.now())
