"""Every exception that Nightly raises on purpose.

NightlyError
├── SettingsError        the environment is wrong; carries one line for each wrong value
├── InvalidEvent         a message cannot be accepted; says which field is wrong and why
├── NotReplicated        Redis has the events, but too few replicas confirmed them in time
├── SealError            a sealed value cannot be opened with the keys at hand
│   └── UnknownKey       LOGIN_KEYS lacks the key that sealed it; says which one by its id
├── LedgerError          the ledger in Redis cannot be used
│   ├── LedgerMismatch   it was written by newer code, under other LOGIN_KEYS, or is a sandbox where we are none
│   ├── UnknownLetter    no dead letter has that id
│   └── UnknownBackfill  no backfill has that id
├── LetterClosed         the dead letter was replayed, resolved or superseded already
├── BackfillError        a backfill is not in a state for that, or its terms are wrong
│   └── SameFile         another backfill has the same content and wish
├── UnreadableFile       a file of rows cannot be read, or not to its end
└── EmbeddedStackError   a part of the embedded stack (demo, run, tests) did not start

No message of these classes ever contains a loginId, a key or the value of a setting.
"""


class NightlyError(Exception):
    """The root: catch it to show a message to a person, without a traceback."""


class SettingsError(NightlyError):
    """The environment is wrong. `lines` holds one sentence for each wrong value."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


class InvalidEvent(NightlyError):
    """A message cannot be accepted. `reason` names the field and the rule, never the value.

    `event_id` is the producer's, where it could be read and may be shown.
    """

    def __init__(self, reason: str, *, code: str = "invalid_event", event_id: str = "") -> None:
        self.reason = reason
        self.code = code
        self.event_id = event_id
        super().__init__(reason)


class NotReplicated(NightlyError):
    """Redis has the events, but too few replicas confirmed them in time: a failover might lose them. Publish again."""


class SealError(NightlyError):
    """A sealed value cannot be opened: its key is gone from LOGIN_KEYS or the bytes are not ours."""


class UnknownKey(SealError):
    """LOGIN_KEYS lacks the key, `key_id` in hex, that sealed a value; another process may hold it."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"sealed under key {key_id}, which LOGIN_KEYS does not hold")


class LedgerError(NightlyError):
    """The ledger in Redis cannot be used."""


class LedgerMismatch(LedgerError):
    """The ledger was written by newer code, under other LOGIN_KEYS, or as a sandbox where we are none."""


class UnknownLetter(LedgerError):
    """No dead letter has that id."""


class UnknownBackfill(LedgerError):
    """No backfill has that id."""


class LetterClosed(NightlyError):
    """The dead letter was replayed, resolved or superseded already."""


class BackfillError(NightlyError):
    """A backfill is not in a state in which that can be done, or its terms are wrong."""


class SameFile(BackfillError):
    """Another backfill, `backfill_id`, has the same content and the same wish for the same instance."""

    def __init__(self, backfill_id: str) -> None:
        self.backfill_id = backfill_id
        super().__init__(f"backfill {backfill_id} has the same rows and the same wish")


class UnreadableFile(NightlyError):
    """A file of rows cannot be read, or not to its end; nothing of it was handed over."""


class EmbeddedStackError(NightlyError):
    """A part of the embedded stack did not start."""
