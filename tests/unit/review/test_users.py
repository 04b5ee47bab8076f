import asyncio
import base64

import pytest

from worker.errors import SettingsError
from worker.review.passwords import hash_password
from worker.review.users import REMEMBERED_SECONDS, WAITING_AT_MOST, Doorkeeper, TooManyChecks, credentials, parse_users

HASH = hash_password("right", log2_n=10)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


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


def test_a_name_stands_there_once() -> None:
    with pytest.raises(SettingsError, match="twice"):
        parse_users(f"ann:viewer:{HASH},ann:admin:{HASH}")


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"\xff").decode()]
)
def test_another_header_holds_no_credentials(header: str) -> None:
    assert credentials(header) == ("", "")


async def admitted(doorkeeper: Doorkeeper, header: str) -> str | None:
    user = await doorkeeper.admit(header)
    return user.name if user else None


def test_the_right_password_opens_and_nothing_else() -> None:
    doorkeeper = Doorkeeper(parse_users(f"ann:viewer:{HASH}"))
    assert asyncio.run(admitted(doorkeeper, basic("ann", "right"))) == "ann"
    for header in (basic("ann", "wrong"), basic("bob", "right"), basic("", "right"), ""):
        assert asyncio.run(admitted(doorkeeper, header)) is None


def test_without_users_nobody_is_let_in() -> None:
    assert asyncio.run(admitted(Doorkeeper({}), basic("ann", "right"))) is None


def test_a_right_password_is_remembered_for_a_while_and_a_wrong_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def check(password: str, _: str) -> bool:
        checked.append(password)
        return password == "right"

    monkeypatch.setattr("worker.review.users.matches", check)
    now = [0.0]
    doorkeeper = Doorkeeper(parse_users(f"ann:viewer:{HASH}"), clock=lambda: now[0])
    for password in ("right", "right", "wrong", "wrong"):
        asyncio.run(admitted(doorkeeper, basic("ann", password)))
    assert checked == ["right", "wrong", "wrong"]
    now[0] = REMEMBERED_SECONDS
    asyncio.run(admitted(doorkeeper, basic("ann", "right")))
    assert checked[-1] == "right"


def test_a_flood_of_guesses_is_refused_instead_of_hashed() -> None:
    async def flood() -> list[object]:
        doorkeeper = Doorkeeper(parse_users(f"ann:viewer:{HASH}"))
        guesses = (doorkeeper.admit(basic("ann", f"guess-{number}")) for number in range(WAITING_AT_MOST + 5))
        return await asyncio.gather(*guesses, return_exceptions=True)

    results = asyncio.run(flood())
    assert sum(isinstance(result, TooManyChecks) for result in results) == 5
    assert results.count(None) == WAITING_AT_MOST
