"""Opens what is sealed of a dead letter: the loginId of its login, or the body of its message. Needs LOGIN_KEYS."""

from collections.abc import Sequence
from contextlib import suppress

from worker.errors import InvalidAction, InvalidEvent, NeedsLoginKeys, NightlyError
from worker.events.contract import decode_json
from worker.intake.origin import logins_in
from worker.ledger import Letters
from worker.ledger.dead_letters import Letter
from worker.operations.rejected_messages import open_body
from worker.vault.vault import Vault


class LetterSecrets:
    """The secrets of dead letters; without a vault every method raises NeedsLoginKeys, except `known`."""

    def __init__(self, letters: Letters, vault: Vault | None) -> None:
        self._letters = letters
        self._vault = vault

    @property
    def vault(self) -> Vault:
        """The vault; raises NeedsLoginKeys."""
        if self._vault is None:
            raise NeedsLoginKeys("This needs LOGIN_KEYS, which this process does not have. Nothing was done.")
        return self._vault

    def login_id(self, letter: Letter) -> str:
        """Return the loginId of a letter; raises InvalidAction, and SealError if LOGIN_KEYS do not open it."""
        vault = self.vault
        if letter.kind == "message":
            named = self._named_in(letter)
            if len(named) != 1:
                raise InvalidAction(
                    f"The message of {letter.id} names {len(named)} loginIds, not one. Nothing was done."
                )
            return named[0]
        sealed = self._letters.sealed_login(letter.login)
        if not sealed:
            raise InvalidAction(f"The login of {letter.id} is not in the ledger any more. Nothing was done.")
        return vault.open_login(letter.login, sealed)

    def body(self, letter: Letter) -> bytes:
        """Return the kept body of an open letter, a Celery message as JSON; raises InvalidAction and SealError."""
        return open_body(self._letters, self.vault, letter)

    def known(self, letter: Letter) -> Sequence[str]:
        """Return the loginIds of a letter that can be opened here, to find them in what a person types."""
        with suppress(NightlyError):
            return self._named_in(letter) if letter.kind == "message" else [self.login_id(letter)]
        return []

    def _named_in(self, letter: Letter) -> Sequence[str]:
        return logins_named_in(self.body(letter), self.vault)


def logins_named_in(body: bytes, vault: Vault) -> Sequence[str]:
    """Return the loginIds that a body names, each once; none if it is not JSON."""
    with suppress(InvalidEvent, RecursionError):
        return list(dict.fromkeys(logins_in(decode_json(body), vault)))
    return []
