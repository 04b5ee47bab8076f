"""Finds misspelt settings, so that they stop the start.

Every name in `.env` must be a setting. In the environment, a name is a misspelling if it has a prefix of ours or is one
typing error away from a setting. Names of other tools (REDIS_URI, SENTRY_RELEASE) and those that Kubernetes adds for
its services are not.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

OWN_PREFIXES = ("FLINKS_", "RETRY_", "LOGIN_", "REVIEW_", "METRICS_", "EVENT_", "GATE_", "HEALTH_", "HTTP_EVENTS_")
_SHOWN = re.compile(r"(?=.{1,40}\Z)([A-Z]+(_[A-Z0-9]+)*|[a-z]+(_[a-z0-9]+)+)")
"""A name that a message may repeat. Other names could be a key pasted on a line of its own."""
_OF_KUBERNETES = re.compile(r".+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)")


def unknown_names(environment: Iterable[str], dotenv: Iterable[str], *, known: Sequence[str]) -> list[str]:
    """Return a line for each name that is meant as a setting but is not in `known` (in capitals)."""
    slips = {slip for name in known for slip in _slips(name)}
    meant = [name for name in environment if _is_meant(name.upper(), slips)]
    found = {name.upper(): name for name in (*meant, *dotenv)}
    return [_line(found[name], known) for name in sorted(found) if name not in known]


def _is_meant(name: str, slips: set[str]) -> bool:
    return name in slips or (name.startswith(OWN_PREFIXES) and not _OF_KUBERNETES.fullmatch(name))


def _slips(name: str) -> Iterator[str]:
    """Yield the name with a letter left out, doubled, or swapped with the next; no other tool uses such names."""
    for at, letter in enumerate(name):
        if letter != "_":  # LOGLEVEL and LOG__LEVEL are other tools' names
            yield name[:at] + name[at + 1 :]
            yield name[:at] + letter + name[at:]
            yield name[:at] + name[at + 1 : at + 2] + letter + name[at + 2 :]


def _line(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]}?" if near else ""
    shown = name.upper() if _SHOWN.fullmatch(name) else "a name in .env or the environment"
    return f"{shown}: is not a setting of Nightly{hint}"
