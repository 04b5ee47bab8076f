"""What reviewers and operators do in the random schedules, and what Flinks does to all calls at once."""

from collections import Counter
from dataclasses import replace
from random import Random

from tests import ledger_calls
from tests.integration.ledger.rows import Rows
from tests.integration.ledger.storms import Storms
from tests.integration.ledger.world import INSTANCES, LOGINS, World
from tests.people import ANN
from worker.errors import LetterClosed
from worker.ledger import Letters, Recorded, Wish
from worker.ledger.audit import AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.queries import Views

MOODS = (
    "well",
    "down",
    "down",
    "down",
    "refuses every login",
    "refuses every login",
    "our key is refused, too",
    "has no host",
    "has no host",
    "one login is refused",
)
"""`Endings.a_call_ends` explains each."""


class People:
    """The part of a schedule that changes gates, closes letters, and changes how Flinks behaves."""

    seen: Counter[str]
    world: World
    rows: Rows
    storms: Storms
    letters: Letters
    gates: GateKeeper
    views: Views
    moods: dict[str, str]

    def flinks_changes_its_mood(self, chance: Random) -> None:
        """Change how Flinks answers one instance, whose customer id may be wrong."""
        self.moods[chance.choice(INSTANCES)] = chance.choice(MOODS)

    def a_person_turns_a_gate(self, chance: Random) -> None:
        """Shut the gate by hand, or open it whatever shut it."""
        instance = chance.choice(INSTANCES)
        if chance.random() < 0.1:
            self.gates.close(instance, by=ANN, reason="because")
        else:
            self._open(instance)

    def _open(self, instance: str) -> None:
        gate = self.views.gate(instance)
        self.seen[f"opened after {gate.get('cause')}"] += gate["state"] != "open"
        self.gates.open(instance, by=ANN)
        self.storms.open(instance, after_storm=gate["state"] != "open" and gate["cause"] == "storm")

    def a_person_corrects_a_letter(self, chance: Random) -> None:
        """Give its wish to another login of the instance, or wish the opposite a moment later."""
        letters = sorted(ledger_calls.list_letters(self.letters), key=lambda letter: letter.login)
        if not letters:
            return
        letter, is_of_login = chance.choice(letters), chance.random() < 0.5
        newest = self.world.newest[letter.login]
        others = [name for name, instance in LOGINS.items() if instance == letter.instance and name != letter.login]
        if is_of_login:
            wish = replace(newest, reference=chance.choice(others))
        else:
            wish = replace(newest, wants_active=not newest.wants_active, occurred_us=newest.occurred_us + 1)
        changes = LetterChanges(self.letters.redis, now_ms=self.letters._now_ms)
        act = Act(letter.id, ANN, "correct", version=letter.version)
        standing = self.views.login(wish.reference) or {}
        status, (result,) = changes.close(act, "corrected", wishes=[wish], corrected_to=wish.reference)
        assert status == "corrected"
        self._check_recorded(wish, result)
        if result is Recorded.DUPLICATE and standing["state"] == "dead_lettered" and not standing["dead_letter"]:
            self.world.replays[letter.instance] += 1
            self.world.failures[wish.reference] = 0
            self.rows.replay(wish.reference)
            self.seen["correction taken back"] += 1
        self.seen[f"corrected {'login' if is_of_login else 'wish'}: {result}"] += 1

    def _check_recorded(self, wish: Wish, result: Recorded) -> None:
        raise NotImplementedError

    def two_reviewers_close_a_letter(self, chance: Random) -> None:
        """Both close the same letter at once; the second gets LetterClosed."""
        # Their ids depend on Redis' hash seed.
        letters = sorted(ledger_calls.list_letters(self.letters), key=lambda letter: letter.login)
        if letters:
            of_rows = [letter for letter in letters if letter.login in self.rows.row_of]
            letter, action = chance.choice(of_rows or letters), chance.choice(["replayed", "resolved"])
            assert ledger_calls.close(self.letters, letter.id, action, by="reviewer") == action
            self.world.replays[letter.instance] += action == "replayed"
            self.world.failures[letter.login] = 0
            self.seen[action] += 1
            if action == "replayed":
                self.rows.replay(letter.login)
            try:
                ledger_calls.close(self.letters, letter.id, "replayed", by="slower")
            except LetterClosed:
                return
            raise AssertionError("two reviewers closed one letter")

    def check_audit(self) -> None:
        """Each change by a person is one entry, and all entries are one chain."""
        log = AuditLog(self.letters.redis)
        assert log.verify().broken_at is None
        actions = Counter(entry.action for entry in log.entries(limit=100_000))
        assert actions["letter.replay"] == self.seen["replayed"]
        assert actions["letter.resolve"] == self.seen["resolved"]
