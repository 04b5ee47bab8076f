import json

from pydantic import SecretStr

from tests.unit.flinks.judging import LOGIN
from worker.config.settings import Instance
from worker.flinks.protocol import build_request

INSTANCE = Instance(
    name="toolbox",
    customer_id="43387ca6-0391-4c82-857d-70d95f087ecb",
    auth_key=SecretStr("a-key"),
    auth_header="flinks-auth-key",
    auth_scheme="",
    base_url="https://toolbox-api.private.fin.ag",
)


def test_the_request_names_the_login_and_the_flag_in_the_body_and_the_key_in_its_header() -> None:
    request = build_request(INSTANCE, LOGIN, wants_active=False)
    assert (request.method, request.url) == (
        "PATCH",
        "https://toolbox-api.private.fin.ag/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh",
    )
    assert json.loads(request.content) == {"loginId": LOGIN, "isActivated": False}
    assert request.headers["flinks-auth-key"] == "a-key"
    assert request.headers["content-type"] == "application/json"


def test_a_scheme_precedes_the_key() -> None:
    instance = INSTANCE.model_copy(update={"auth_header": "Authorization", "auth_scheme": "Bearer"})
    assert build_request(instance, LOGIN, wants_active=True).headers["Authorization"] == "Bearer a-key"


def test_the_repr_of_a_request_shows_neither_login_nor_key() -> None:
    shown = repr(build_request(INSTANCE, LOGIN, wants_active=True))
    assert "SetScheduledRefresh" in shown
    assert LOGIN not in shown
    assert "a-key" not in shown


def test_unusual_characters_of_a_login_arrive_unchanged() -> None:
    login = 'é"\\/ 日本'
    assert json.loads(build_request(INSTANCE, login, wants_active=True).content)["loginId"] == login
