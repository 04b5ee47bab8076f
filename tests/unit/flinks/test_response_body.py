import pytest

from worker.flinks.response_body import Confirmation, confirmation_in, read

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
OTHER = "0d5e2a51-7a10-4d8e-9a61-5f0c3b1f7e22"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (f"LoginId {LOGIN} has now been activated for automatic refresh", Confirmation.CONFIRMED),
        (f"loginid '{LOGIN.upper()}' is activated.", Confirmation.CONFIRMED),
        (f"Activated: {LOGIN}", Confirmation.CONFIRMED),
        (f"Activated: {LOGIN} (request {OTHER})", Confirmation.CONFIRMED),
        (f"LoginId {LOGIN} has now been deactivated for automatic refresh", Confirmation.CONTRADICTED),
        (f"LoginId {OTHER} has now been activated for automatic refresh", Confirmation.CONTRADICTED),
        (f"LoginId {LOGIN}0 has now been activated for automatic refresh", Confirmation.CONTRADICTED),
        ("LoginId acme-7 has now been activated for automatic refresh", Confirmation.CONTRADICTED),
        (f"Refresh of {OTHER} was activated", Confirmation.CONTRADICTED),
        (f"LoginId {LOGIN} has not been activated", Confirmation.CONTRADICTED),
        (f"LoginId {LOGIN} couldn't be activated", Confirmation.CONTRADICTED),
        (f"LoginId {LOGIN} was deactivated and has now been activated", Confirmation.CONTRADICTED),
        ("The automatic refresh has been activated", Confirmation.SILENT),
        (f"LoginId {LOGIN} was saved", Confirmation.SILENT),
        (f"LoginId {LOGIN} is reactivatedly", Confirmation.SILENT),
        (f"LoginId {LOGIN} has no limit; request {OTHER}", Confirmation.SILENT),
        ("\0 activated", Confirmation.SILENT),
        ("", Confirmation.SILENT),
    ],
)
def test_a_text_confirms_contradicts_or_does_neither(text: str, claim: Confirmation) -> None:
    assert confirmation_in(text, LOGIN, wants_active=True) is claim


def test_deactivated_is_not_read_as_activated() -> None:
    text = f"{LOGIN} deactivated"
    assert confirmation_in(text, LOGIN, wants_active=False) is Confirmation.CONFIRMED
    assert confirmation_in(text, LOGIN, wants_active=True) is Confirmation.CONTRADICTED


@pytest.mark.parametrize("login", ["a.b*c(", "two words", "ends-with-=", "deactivated-1", "é日本"])
def test_a_login_is_found_as_a_whole_word(login: str) -> None:
    assert (
        confirmation_in(f"LoginId {login} was activated, at last", login, wants_active=True) is Confirmation.CONFIRMED
    )
    assert (
        confirmation_in(f"LoginId x{login} was activated, at last", login, wants_active=True)
        is not Confirmation.CONFIRMED
    )


def test_only_the_first_64_kib_are_read() -> None:
    assert len(read(b"x" * 100_000).text) == 65_536


def test_text_code_and_status_of_an_object_are_read() -> None:
    answer = read(b'{"HttpStatusCode": "400", "Message": " Invalid ", "FlinksCode": " INVALID_LOGIN "}')
    assert (answer.text, answer.code, answer.status, answer.is_readable) == ("Invalid", "INVALID_LOGIN", 400, True)


def test_fields_of_a_response_are_read_in_any_case() -> None:
    assert read(b'{"flinksCode": "INVALID_LOGIN"}').code == "INVALID_LOGIN"
