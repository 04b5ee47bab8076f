"""Every exception that Nightly raises on purpose.

NightlyError
├── SettingsError        the environment is wrong; carries one line for each wrong value
├── InvalidEvent         a message cannot be accepted; names the field and the rule
├── NotReplicated        Redis has the events, but too few replicas confirmed them in time
├── SealError            a sealed value cannot be opened with LOGIN_KEYS
│   └── UnknownKey       LOGIN_KEYS lacks the key that sealed the value; carries the key's id
├── LedgerError          the ledger in Redis cannot be used
│   ├── LedgerMismatch   it belongs to newer code, other LOGIN_KEYS, or the other kind (sandbox or production)
│   ├── UnknownLetter    no dead letter has that id
│   ├── UnknownLogin     no login has that reference
│   ├── UnknownBackfill  no backfill has that id
│   ├── UnknownGroup     the group has no open dead letter
│   ├── UnknownJob       no bulk job has that id
│   ├── Unreadable       what Redis holds of a thing is not what Nightly wrote: somebody changed it by hand
│   └── AuditBusy        others changed the ledger all the time, so that the audit log had no room for this change
├── InvalidFilter        a filter of dead letters has a wrong value; names the field, never the value
├── OutOfDate            what a person looked at has changed meanwhile, so nothing was done
│   └── LetterClosed     the dead letter was already replayed, resolved, corrected or superseded
├── InvalidAction        the thing does not allow the action, or an argument is wrong, so nothing was done
├── NeedsLoginKeys       the action opens or seals a loginId, and this process has no LOGIN_KEYS
├── BackfillError        the state of a backfill does not allow the action, or its parameters are wrong
│   └── SameFile         another backfill has the same content and wish
├── UnreadableFile       a file of rows cannot be read to its end
└── EmbeddedStackError   a part of the embedded stack (demo, run, tests) did not start

No message of these classes contains a loginId, a key or the value of a setting.
"""

from typing import Literal


class NightlyError(Exception):
    """The base class. Catch it to show a person the message without a traceback."""


class SettingsError(NightlyError):
    """The environment is wrong. `lines` holds one sentence for each wrong value.

    `log_format` is the value of LOG_FORMAT; None if it is not set, or wrong itself.
    """

    def __init__(self, lines: list[str], *, log_format: Literal["json", "console"] | None = None) -> None:
        self.lines = lines
        self.log_format = log_format
        super().__init__("\n".join(lines))


class InvalidEvent(NightlyError):
    """A message cannot be accepted. `reason` names the field and the rule, never the value.

    Once intake has kept the message, `event_id` is the producer's id, if it could be read and may be shown.
    """

    def __init__(self, reason: str, *, code: str = "invalid_event") -> None:
        self.reason = reason
        self.code = code
        self.event_id = ""
        super().__init__(reason)


class NotReplicated(NightlyError):
    """Redis has the events, but too few replicas confirmed them in time. A failover may lose them: publish again."""


class SealError(NightlyError):
    """A sealed value cannot be opened: LOGIN_KEYS lacks its key, or Nightly did not write these bytes."""


class UnknownKey(SealError):
    """LOGIN_KEYS lacks the key that sealed a value, `key_id` in hex. Another process may have it."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"sealed under key {key_id}, which LOGIN_KEYS does not hold")


class LedgerError(NightlyError):
    """The ledger in Redis cannot be used."""


class LedgerMismatch(LedgerError):
    """The ledger belongs to newer code, to other LOGIN_KEYS, or to the other kind (sandbox or production)."""


class UnknownLetter(LedgerError):
    """No dead letter has that id."""


class UnknownLogin(LedgerError):
    """No login has that reference."""


class UnknownBackfill(LedgerError):
    """No backfill has that id."""


class UnknownGroup(LedgerError):
    """The group of dead letters has no open letter."""


class InvalidFilter(NightlyError):
    """A filter of dead letters has a wrong value. The message names the field, never the value."""


class UnknownJob(LedgerError):
    """No bulk job has that id. One that was not started expires after a day."""


class Unreadable(LedgerError):
    """What Redis holds of a thing is not what Nightly wrote. The message says what is wrong, never a stored value."""

    def __init__(self, thing: str, key: str, problem: str) -> None:
        super().__init__(
            f"{thing} is unreadable: {problem}. Somebody changed {key} in Redis by hand; docs/operating.md says what "
            "to do. Nothing was done."
        )


class AuditBusy(LedgerError):
    """Too many others wrote to the audit log at the same time. Nothing was done; try again."""


class OutOfDate(NightlyError):
    """What a person looked at has changed meanwhile. The message says how, and that nothing was done."""


class LetterClosed(OutOfDate):
    """The dead letter was already replayed, resolved, corrected or superseded. The message says by whom."""


class InvalidAction(NightlyError):
    """The thing does not allow the action, or an argument is wrong. The message says which, and nothing was done."""


class NeedsLoginKeys(NightlyError):
    """The action opens or seals a loginId, and this process was started without LOGIN_KEYS. Nothing was done."""


class BackfillError(NightlyError):
    """The state of a backfill does not allow the action, or its parameters are wrong."""


class SameFile(BackfillError):
    """The backfill `backfill_id` has the same content and the same wish for the same instance."""

    def __init__(self, backfill_id: str) -> None:
        self.backfill_id = backfill_id
        super().__init__(f"backfill {backfill_id} has the same rows and the same wish")


class UnreadableFile(NightlyError):
    """A file of rows cannot be read to its end; none of its rows was handed over."""


class EmbeddedStackError(NightlyError):
    """A part of the embedded stack did not start."""
