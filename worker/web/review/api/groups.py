"""Groups of dead letters in the API."""

from typing import Any

from worker.operations import documents
from worker.operations.group_actions import GroupName
from worker.web.review.api import answers
from worker.web.review.api.call import Call, milliseconds


def show_all(call: Call) -> list[documents.Group]:
    """Return every group with open letters."""
    return [documents.group_document(group) for group in call.parts.group_views.read()]


def acknowledge(call: Call) -> answers.Nothing:
    """Hide a group from what needs a person, until it has more letters than now."""
    call.parts.group_actions.acknowledge(**_seen(call), letters=call.body.letters)
    return answers.Nothing()


def mute(call: Call) -> answers.Nothing:
    """Hide a group from what needs a person, until a time."""
    call.parts.group_actions.mute(**_seen(call), until_ms=milliseconds(call.body.until) or 0)
    return answers.Nothing()


def reopen(call: Call) -> answers.Nothing:
    """End an acknowledgement or a mute."""
    call.parts.group_actions.reopen(**_seen(call))
    return answers.Nothing()


def assign(call: Call) -> answers.Nothing:
    """Give a group to a person, or to nobody."""
    call.parts.group_actions.assign(**_seen(call), owner=call.body.owner)
    return answers.Nothing()


def _seen(call: Call) -> dict[str, Any]:
    given = call.body
    group = GroupName(given.instance, given.code, given.wish)
    return {"group": group, "by": call.by, "version": given.version, "note": given.note}
