"""`nightly dead-letters acknowledge | mute | reopen | assign-group`: what a person says of a group of dead letters."""

import re
from typing import Annotated

import typer

from worker.cli.context import misuse, operator, settings_and_client
from worker.cli.known import check_filters, complete_code, complete_instance
from worker.cli.output import console, number, plain, when
from worker.ledger.group_views import GroupView, GroupViews
from worker.operations.group_actions import GroupActions, GroupName

_SPAN = re.compile(r"(\d{1,4})([hd])", re.ASCII)
_SPAN_MS = {"h": 3_600_000, "d": 86_400_000}
Code = Annotated[str, typer.Argument(help="The code of the group.", autocompletion=complete_code)]
Instance = Annotated[
    str | None, typer.Option(help="Its instance, if several have the code.", autocompletion=complete_instance)
]
Wish = Annotated[str | None, typer.Option(help="Its wish, on or off, if both have the code.")]
Note = Annotated[str, typer.Option(help="The reason, for the audit log; without a loginId.")]


def acknowledge(code: Code, *, instance: Instance = None, wish: Wish = None, note: Note = "") -> None:
    """Mark a group as known: it needs nobody until it has more letters than now."""
    actions, group = _chosen(code, instance, wish)
    actions.acknowledge(_name(group), by=operator(), note=note, letters=group.count, version=group.changed_at or 0)
    _print(group, f"is acknowledged until it has more letters than now ({number(group.count)})")


def mute(
    code: Code,
    *,
    span: Annotated[str, typer.Option("--for", help="For how long, at most 90 days: 12h, 7d.")],
    instance: Instance = None,
    wish: Wish = None,
    note: Note = "",
) -> None:
    """Hide a group and give no notice of it for a time, however much it grows."""
    found = _SPAN.fullmatch(span)
    if found is None:
        misuse("--for: give a number of hours or days, such as 12h or 7d")
    actions, group = _chosen(code, instance, wish)
    until_ms = actions.now_ms() + int(found[1]) * _SPAN_MS[found[2]]
    actions.mute(_name(group), until_ms, by=operator(), note=note, version=group.changed_at or 0)
    _print(group, f"is muted until {when(until_ms)} UTC")


def reopen(code: Code, *, instance: Instance = None, wish: Wish = None, note: Note = "") -> None:
    """End the acknowledgement or the mute of a group."""
    actions, group = _chosen(code, instance, wish)
    actions.reopen(_name(group), by=operator(), note=note, version=group.changed_at or 0)
    _print(group, "is open")


def assign(
    code: Code,
    *,
    owner: Annotated[str, typer.Option(help='The name of its owner; "" for nobody.')],
    instance: Instance = None,
    wish: Wish = None,
    note: Note = "",
) -> None:
    """Give a group an owner."""
    actions, group = _chosen(code, instance, wish)
    actions.assign(_name(group), owner, by=operator(), note=note, version=group.changed_at or 0)
    _print(group, f"belongs to {plain(owner)}" if owner else "belongs to nobody")


def _chosen(code: str, instance: str | None, wish: str | None) -> tuple[GroupActions, GroupView]:
    settings, client = settings_and_client(to_change=True)
    check_filters(settings, client, code=code, instance=instance)
    groups = [
        group
        for group in GroupViews(client).read()
        if group.code == code and instance in {None, group.instance} and wish in {None, group.wish}
    ]
    if not groups:
        misuse(f"no open dead letter has the code {plain(code)}, with this instance and wish")
    if len(groups) > 1:
        misuse(f"name one group with --instance and --wish: {', '.join(_title(group) for group in groups)}")
    return GroupActions(client), groups[0]


def _name(group: GroupView) -> GroupName:
    return GroupName(group.instance, group.code, group.wish)


def _title(group: GroupView) -> str:
    return plain(" ".join(filter(None, (group.code, group.wish, group.instance))))


def _print(group: GroupView, result: str) -> None:
    console().print(f"{_title(group)} {result}.", soft_wrap=True)
