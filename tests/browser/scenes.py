"""The pages to judge and to take pictures of, and the data that they show."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import sin

from tests.browser.site import Site
from tests.waiting import eventually
from worker.backfill.job_models import JobStatus
from worker.ledger.audit import Actor
from worker.ledger.letter_filter import LetterFilter
from worker.web.review.parts import Parts, build_parts

OTTO, ADA = Actor("otto", "operator", "page", "10.0.0.7"), Actor("ada", "admin", "page", "10.0.0.8")
INSTANCE, ELSEWHERE, SHUT = "omega", "sigma", "kappa"


@dataclass(frozen=True)
class Stage:
    """The ids of what the scenes show."""

    letter: str
    message: str
    login: str
    prepared: str
    ended: str


@dataclass(frozen=True)
class Scene:
    """One page: its name in docs/images/review, its route, and its path on the stage. `user`: who looks at it."""

    name: str
    route: str
    path: Callable[[Stage], str] | None = None
    user: str | None = "ada"

    def path_on(self, stage: Stage) -> str:
        """Return the path."""
        return self.path(stage) if self.path else self.route


SCENES = (
    Scene("groups", "/"),
    Scene("letters", "/letters", lambda _: f"/letters?instance={INSTANCE}"),
    Scene("no-letters", "/letters", lambda _: "/letters?code=NONE_OF_THESE"),
    Scene("letter", "/letters/{id}", lambda stage: f"/letters/{stage.letter}"),
    Scene("message", "/letters/{id}", lambda stage: f"/letters/{stage.message}"),
    Scene("login", "/logins/{reference}", lambda stage: f"/logins/{stage.login}"),
    Scene("bulk", "/bulk"),
    Scene("preflight", "/bulk/{id}", lambda stage: f"/bulk/{stage.prepared}"),
    Scene("job", "/bulk/{id}", lambda stage: f"/bulk/{stage.ended}"),
    Scene("operations", "/operations"),
    Scene("audit", "/audit"),
    Scene("audit-verify", "/audit/verify"),
    Scene("sign-in", "/sign-in", user=None),
    Scene("not-found", "/letters/{id}", lambda _: "/letters/dl-999999"),
)


def set_the_stage(site: Site) -> Stage:
    """Let events fail, and let people work on them; return the ids."""
    parts = build_parts(site.redis, site.stack.settings())
    _note_a_day(site, parts.views.now_ms() // 60_000)
    site.file_letters(3, instance=INSTANCE)
    site.file_letters(2, instance=INSTANCE, on=False)
    site.emulator.add_faults({"knob": "unknown_code", "logins": ["odd-login"]})
    site.publish("odd-login", instance=INSTANCE)
    site.redis.xadd(
        "account-events:stream", {"event": '{"specversion": "1.0", "id": "evt-17", "type": "account.linked"}'}
    )
    eventually(lambda: list(parts.letter_pages.ids(LetterFilter(code="invalid_event"))), describe="a rejected message")
    (message,) = parts.letter_pages.ids(LetterFilter(code="invalid_event"))
    letter = next(parts.letter_pages.ids(LetterFilter(instance=INSTANCE, wish="on")))
    parts.letter_actions.assign(letter, by=OTTO, owner="otto")
    parts.letter_actions.note(letter, by=ADA, note="The customer was asked on Monday.")
    login = parts.letters.get(letter).login
    return Stage(letter, message, login, _prepared(parts), _ended(site, parts))


def _note_a_day(site: Site, this_minute: int) -> None:
    """Note the counters of a day before this minute, as a worker does: more by day, and an outage in the evening."""
    notes, counted = [], [0] * 5
    for minute in range(this_minute - 1440, this_minute):
        is_down = 1080 <= minute % 1440 < 1100
        events = 40 + round(30 * sin(minute / 230)) + minute % 7
        applied = 0 if is_down else events
        for at, more in enumerate((events, applied, events + 20 * is_down, 20 * is_down, minute % 90 == 0)):
            counted[at] += more
        due = 40 * (minute % 1440 - 1079) if is_down else 2
        at_ms = minute * 60_000 + 500
        notes.append(json.dumps([at_ms, {"toolbox": [*counted, due, 0, 3, at_ms - 1500 * due]}]))
    site.redis.rpush("nightly:minutes", *notes)


def _prepared(parts: Parts) -> str:
    return parts.bulk.prepare("replay", LetterFilter(instance=INSTANCE), by=OTTO).id


def _ended(site: Site, parts: Parts) -> str:
    site.set_known(*site.file_letters(3, instance=ELSEWHERE))
    job = parts.bulk.prepare("replay", LetterFilter(instance=ELSEWHERE), by=OTTO)
    parts.bulk.run(job.id, by=OTTO)
    eventually(lambda: parts.bulk.get(job.id).status is JobStatus.FINISHED, seconds=30, describe="the end of a job")
    site.publish("first-login", instance=SHUT)
    eventually(lambda: site.flag("first-login"), describe="a call")
    parts.gate.close(SHUT, by=ADA, reason="maintenance at Flinks until 18:00")
    site.publish("second-login", instance=SHUT)
    return job.id
