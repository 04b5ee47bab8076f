"""The bodies of requests to the API. A field that a model does not name is refused."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from worker.backfill.job_models import Verb
from worker.ledger.letter_filter import STATES, WISHES

MOST_IDS = 100_000
Version = Annotated[int, Field(ge=0, le=10**15)]
"""The `version` of what was seen: if it has changed since, nothing is done, and the answer is 409."""
Text = Annotated[str, Field(max_length=2_000)]


class Body(BaseModel):
    """An empty body, or an object without fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Seen(Body):
    """An action on what was seen."""

    version: Version | None = None
    """That of the letter; null: any."""


class Noted(Seen):
    """An action with an optional note."""

    note: Text = ""


class Resolve(Seen):
    """Why no call is needed."""

    note: Text


class Note(Seen):
    """A note for those who look at the letter later."""

    note: Text


class Correct(Seen):
    """The right loginId, or the right wish; one of the two."""

    login_id: Annotated[str, Field(max_length=2_000)] | None = None
    wish: Literal["on", "off"] | None = None
    reason: Text


class Resubmit(Seen):
    """The corrected text of a rejected message; a placeholder of GET .../body keeps its value."""

    body: Annotated[str, Field(max_length=2_000_000)]
    reason: Text


class Assign(Seen):
    """The new owner; empty: nobody."""

    owner: Text


class Snooze(Seen):
    """Until when the letter is hidden; null shows it again."""

    until: AwareDatetime | None


class Reveal(Body):
    """Why the loginId is needed; the audit log keeps the reason."""

    reason: Text


class OfGroup(Body):
    """The group: its instance and wish are empty for rejected messages."""

    instance: Text = ""
    code: Text
    wish: Literal["on", "off", ""] = ""
    version: Version | None = None
    """The group's `changed_at` in milliseconds since 1970, 0 if nobody had changed it; null: any."""
    note: Text = ""


class AcknowledgeGroup(OfGroup):
    """The group stays hidden until it has more letters."""

    letters: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Letters that were seen; if there are more now, nothing is done, and the answer is 409."""


class MuteGroup(OfGroup):
    """The group stays hidden until a time, however much it grows."""

    until: AwareDatetime


class AssignGroup(OfGroup):
    """The new owner; empty: nobody."""

    owner: Text


class Search(Body):
    """A reference, an account id, an event id, the id of a letter or a job, or a loginId."""

    text: Annotated[str, Field(min_length=1, max_length=1_000)]
    after: Annotated[str, Field(max_length=20)] | None = None
    """`next` of an unfinished search."""


class Filter(Body):
    """Wanted letters: those that match every field."""

    instance: Text | None = None
    code: Text | None = None
    wish: Literal[WISHES] | None = None  # type: ignore[valid-type] # a tuple of texts
    source: Text | None = None
    filed_after: Text | None = None
    filed_before: Text | None = None
    attempts_at_least: Annotated[int, Field(ge=0, le=10**6)] | None = None
    owner: Text | None = None
    state: Literal[STATES] = "open"  # type: ignore[valid-type] # a tuple of texts
    newer_event: bool = False
    only_suspects: bool = False


class Prepare(Body):
    """One verb for many letters: for those of `ids`, or for those that match `filter`."""

    verb: Verb
    ids: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_IDS)] | None = None
    filter: Filter | None = None
    note: Text = ""
    owner: Text = ""
    until: AwareDatetime | None = None
    """With `snooze`."""


class Run(Body):
    """The start of a bulk job."""

    typed: Annotated[str, Field(max_length=20)] = ""
    """The number of its letters, if that is above 100."""
    rate: Annotated[float, Field(gt=0, le=10**6)] | None = None
    """Maximum letters a second; null: as fast as the lane takes them."""


class TurnGate(Body):
    """Why the gate is opened or closed."""

    reason: Text
    version: Version | None = None
    """The gate's `changed_at` in milliseconds since 1970, 0 if it never changed; null: any."""
