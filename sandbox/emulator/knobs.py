"""The table of faults ("knobs") that a test can set: what fails in a call, and with which parameters.

Each knob turns the normal `Effect` of a call into a faulty one. Knobs with the same behaviour share a model; `KNOBS`
lists them all by name. Randomness and time come with the `Situation`.
"""

from dataclasses import replace
from email.utils import formatdate
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sandbox.emulator import replies
from sandbox.emulator.effects import Effect, Ending, Situation
from sandbox.emulator.error_table import ERRORS, ErrorName
from sandbox.emulator.replies import Reply


def _has_body(status: int) -> int:
    if status in {204, 304}:
        raise ValueError("has no body by definition: use another status")
    return status


Status = Annotated[int, Field(ge=200, le=599), AfterValidator(_has_body)]
CustomerId = Annotated[str, AfterValidator(str.lower)]
Milliseconds = Annotated[float, Field(ge=0, le=3_600_000)]


class Knob(BaseModel):
    """The parameters of every knob: which calls it affects, for how long, and whether the write is made anyway."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    only_delays: ClassVar[bool] = False

    knob: str
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: int = 0
    """Seed of the fault's own random numbers: the same seed and the same calls give the same faults."""
    times: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of calls that it affects."""
    once_per_login: Annotated[int, Field(ge=1)] | None = None
    """Only the first N calls of each login, counted from when the fault was set."""
    logins: frozenset[str] | None = None
    customers: frozenset[CustomerId] | None = None
    for_seconds: Annotated[float, Field(gt=0)] | None = None
    commits: bool = False

    def distort(self, now: Situation) -> Effect:
        """Return what the call does under this fault."""
        commits = now.effect.commits and self.commits
        knobs = (*now.effect.knobs, self.knob)
        return replace(self._effect(now), commits=commits, knobs=knobs)

    def _effect(self, now: Situation) -> Effect:
        raise NotImplementedError


class ErrorAnswer(Knob):
    """An error object with a FlinksCode. Each part can be overridden; `code: ""` leaves the body empty."""

    knob: ErrorName
    status: Status | None = None
    code: str | None = None
    message: str | None = None

    def _effect(self, now: Situation) -> Effect:
        status, code, message = ERRORS[self.knob]
        status = self.status or status
        code = code if self.code is None else self.code
        message = self.message or message
        stated = 500 if self.knob == "error_in_200" else None
        reply = replies.failure(status, code, message, stated_status=stated) if code else Reply(status)
        return replace(now.effect, reply=reply)


class HtmlPage(Knob):
    """A proxy's error page."""

    knob: Literal["html_502", "html_403"]

    def _effect(self, now: Situation) -> Effect:
        page = replies.html(502, "Bad Gateway") if self.knob == "html_502" else replies.html(403, "Forbidden")
        return replace(now.effect, reply=page)


class RateLimited(Knob):
    """An HTTP 429 without a body, with or without Retry-After in one of its two forms."""

    knob: Literal["rate_limited"]
    retry_after: Literal["seconds", "http_date", "none"] = "seconds"
    seconds: Annotated[int, Field(ge=0)] = 1

    def _effect(self, now: Situation) -> Effect:
        value = {
            "seconds": str(self.seconds),
            "http_date": formatdate(now.asked.wall_seconds + self.seconds, usegmt=True),
            "none": "",
        }[self.retry_after]
        headers = ((b"retry-after", value.encode()),) if value else ()
        return replace(now.effect, reply=Reply(429, headers=headers))


class Lie(Knob):
    """A 200 that names another login or the opposite state."""

    knob: Literal["wrong_login", "opposite_state"]
    other_login: str = "00000000-0000-4000-8000-00000000dead"

    def _effect(self, now: Situation) -> Effect:
        if now.asked.login_id is None or now.asked.wish is None or not now.effect.commits:
            return now.effect  # the call is refused: there is no success to falsify
        if self.knob == "wrong_login":
            return replace(now.effect, reply=replies.confirmation(self.other_login, is_activated=now.asked.wish))
        return replace(now.effect, reply=replies.confirmation(now.asked.login_id, is_activated=not now.asked.wish))


class Unconfirmed(Knob):
    """A 200 whose text says neither "activated" nor "deactivated"; the write is made."""

    knob: Literal["unconfirmed"]
    commits: bool = True
    text: str = "Your request was received."

    def _effect(self, now: Situation) -> Effect:
        return replace(now.effect, reply=replies.text(self.text)) if now.effect.commits else now.effect


class Truncated(Knob):
    """Half an answer: a complete HTTP message with truncated JSON, or a body shorter than its content-length."""

    knob: Literal["truncated_json", "truncated_http"]
    commits: bool = True

    def _effect(self, now: Situation) -> Effect:
        if self.knob == "truncated_http":
            return replace(now.effect, ending=Ending.CUT)
        body = now.effect.reply.body
        return replace(now.effect, reply=replace(now.effect.reply, body=body[: len(body) // 2]))


class SlowBody(Knob):
    """The correct answer, a few bytes at a time; the write is made first."""

    knob: Literal["slow_body"]
    commits: bool = True
    step_ms: Milliseconds = 50
    bytes_per_step: Annotated[int, Field(ge=1)] = 1

    def _effect(self, now: Situation) -> Effect:
        step_seconds = self.step_ms / 1000
        return replace(now.effect, ending=Ending.DRIBBLE, step_seconds=step_seconds, bytes_per_step=self.bytes_per_step)


class Latency(Knob):
    """A delay before the normal effect. The write is made even if the client leaves during the delay."""

    only_delays: ClassVar[bool] = True

    knob: Literal["latency"]
    commits: bool = True
    milliseconds: Milliseconds
    jitter_ms: Milliseconds = 0

    def _effect(self, now: Situation) -> Effect:
        extra = now.rng.uniform(0, self.jitter_ms) if self.jitter_ms else 0
        return replace(now.effect, delay_seconds=now.effect.delay_seconds + (self.milliseconds + extra) / 1000)


class Silence(Knob):
    """No answer. `commit_then_timeout` writes at once, `timeout_then_commit_late` after the client gave up."""

    knob: Literal["commit_then_timeout", "timeout_then_commit_late"]
    commits: bool = True
    late_ms: Milliseconds | None = None
    """Delay after the client gave up, default 500; only for timeout_then_commit_late."""

    @model_validator(mode="after")
    def _only_one_is_late(self) -> Self:
        if self.knob == "commit_then_timeout" and self.late_ms is not None:
            raise ValueError("late_ms is a parameter of timeout_then_commit_late")
        return self

    def _effect(self, now: Situation) -> Effect:
        if self.knob == "commit_then_timeout":
            return replace(now.effect, ending=Ending.SILENCE)
        late_seconds = (500 if self.late_ms is None else self.late_ms) / 1000
        return replace(now.effect, ending=Ending.SILENCE, late_seconds=late_seconds)


class Reset(Knob):
    """The connection is reset (RST); `commits: true` resets it after the write."""

    knob: Literal["reset"]

    def _effect(self, now: Situation) -> Effect:
        return replace(now.effect, ending=Ending.RESET)


class Outage(Knob):
    """Flinks is down: every call gets a 503, or its connection is closed without an answer."""

    knob: Literal["outage"]
    mode: Literal["503", "refuse"] = "503"

    def _effect(self, now: Situation) -> Effect:
        if self.mode == "refuse":
            return replace(now.effect, ending=Ending.CLOSE)
        return replace(now.effect, reply=replies.html(503, "Service Unavailable"))


class Redirect(Knob):
    """A 302 that must not be followed."""

    knob: Literal["redirect"]
    location: str = "https://elsewhere.invalid/"

    def _effect(self, now: Situation) -> Effect:
        return replace(now.effect, reply=Reply(302, headers=((b"location", self.location.encode("ascii", "replace")),)))


Fault = (
    ErrorAnswer
    | HtmlPage
    | RateLimited
    | Lie
    | Unconfirmed
    | Truncated
    | SlowBody
    | Latency
    | Silence
    | Reset
    | Outage
    | Redirect
)
AnyFault = Annotated[Fault, Field(discriminator="knob")]

KNOBS: dict[str, type[Fault]] = {
    name: model for model in get_args(Fault) for name in get_args(model.model_fields["knob"].annotation)
}
