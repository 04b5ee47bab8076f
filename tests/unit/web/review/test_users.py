import asyncio

import pytest

from worker.errors import SettingsError
from worker.telemetry import rare_line
from worker.web.review.password_checks import CHECKS_AT_ONCE, LINE_AT_MOST, TooManyChecks
from worker.web.review.password_sign_in import FAILED_LINES_A_MINUTE, PasswordSignIn
from worker.web.review.passwords import hash_password
from worker.web.review.users import parse_users

ADDRESS = "192.0.2.1"
HASH = hash_password("right", log2_n=10)


def test_users_are_read_with_their_roles() -> None:
    users = parse_users(f"ann:admin:{HASH}, bob:viewer:{HASH},")
    assert {name: user.role for name, user in users.items()} == {"ann": "admin", "bob": "viewer"}
    assert parse_users("") == {}


@pytest.mark.parametrize(
    "entry",
    ["canary", "ann:canary", f"ann:boss:{HASH}", f"a b:viewer:{HASH}", "ann:viewer:canary", f"ann:viewer:{HASH}:x"],
    ids=["a word", "no hash", "no role", "no name", "a bad hash", "too many parts"],
)  # fmt: skip
def test_a_wrong_entry_is_named_by_its_position_never_by_its_content(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"^REVIEW_USERS \(entry 2\): ") as caught:
        parse_users(f"bob:viewer:{HASH},{entry}")
    assert "canary" not in str(caught.value)


def test_a_user_name_may_appear_only_once() -> None:
    with pytest.raises(SettingsError, match="twice"):
        parse_users(f"ann:viewer:{HASH},ann:admin:{HASH}")


async def admitted(passwords: PasswordSignIn, name: str, password: str) -> str | None:
    user = await passwords.check(name, password, ADDRESS)
    return user.name if user else None


def test_the_right_password_opens_and_nothing_else() -> None:
    passwords = PasswordSignIn(parse_users(f"ann:viewer:{HASH}"))
    assert asyncio.run(admitted(passwords, "ann", "right")) == "ann"
    for name, password in (("ann", "wrong"), ("bob", "right"), ("", "right"), ("", "")):
        assert asyncio.run(admitted(passwords, name, password)) is None


def test_without_users_every_login_is_refused() -> None:
    assert asyncio.run(admitted(PasswordSignIn({}), "ann", "right")) is None


def test_a_password_is_checked_once_whether_it_was_right_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def check(password: str, _: str) -> bool:
        checked.append(password)
        return password == "right"

    monkeypatch.setattr("worker.web.review.password_sign_in.matches", check)
    passwords = PasswordSignIn(parse_users(f"ann:viewer:{HASH}"))

    async def log_in_often() -> list[str | None]:
        return [await admitted(passwords, "ann", password) for password in ("right", "right", "wrong", "wrong")]

    assert asyncio.run(log_in_often()) == ["ann", "ann", None, None]
    assert checked == ["right", "wrong"]
    assert passwords.failed == 2


def test_a_flood_of_guesses_is_refused_and_locks_out_no_returning_user() -> None:
    async def flood(passwords: PasswordSignIn) -> list[object]:
        guesses = [asyncio.ensure_future(passwords.check("ann", f"{n}", ADDRESS)) for n in range(100)]
        await asyncio.sleep(0)
        ann = [await asyncio.gather(admitted(passwords, "ann", "right"), return_exceptions=True)]
        ann.append(await asyncio.gather(admitted(passwords, "ann", "right"), return_exceptions=True))
        await asyncio.gather(*guesses, return_exceptions=True)
        return [answer for [answer] in ann]

    passwords = PasswordSignIn(parse_users(f"ann:viewer:{HASH}"))
    first, second = asyncio.run(flood(passwords))
    assert isinstance(first, TooManyChecks)
    assert second == "ann"
    assert passwords.failed <= LINE_AT_MOST + CHECKS_AT_ONCE
    assert passwords.failed + passwords.turned_away == 101


def answers_to_the_last_name(name: str) -> list[str]:
    """Return what each of many sign-ins at once got, the last of them under `name`."""

    async def guess() -> list[str]:
        passwords = PasswordSignIn(parse_users(f"ann:viewer:{HASH}"))
        names = [f"nobody-{number}" for number in range(80)] + [name]
        tasks = [asyncio.ensure_future(passwords.check(one, "guess", ADDRESS)) for one in names]
        return [type(found).__name__ for found in await asyncio.gather(*tasks, return_exceptions=True)]

    return asyncio.run(guess())


def test_a_flood_does_not_tell_which_names_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.web.review.password_sign_in.matches", lambda *_: False)
    known, unknown = answers_to_the_last_name("ann"), answers_to_the_last_name("nobody-else")
    assert known == unknown
    assert set(known) == {"NoneType", "TooManyChecks"}


class Log:
    """Keeps the log lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})


def test_failed_logins_are_logged_at_a_bounded_rate_without_the_typed_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def guess() -> None:
        passwords = PasswordSignIn(parse_users(f"ann:viewer:{HASH}"))
        for number in range(FAILED_LINES_A_MINUTE + 5):
            assert await admitted(passwords, "ann" if number else "p4ssw0rd", f"canary-{number}") is None

    log = Log()
    monkeypatch.setattr(rare_line, "_log", log)
    asyncio.run(guess())
    unknown, *known = log.lines
    assert unknown == {"event": "login_failed", "user": "(unknown)", "address": ADDRESS}
    assert known == [{"event": "login_failed", "user": "ann", "address": ADDRESS}] * (FAILED_LINES_A_MINUTE - 1)
