import base64

import pytest

from tests.unit.config.loading import Set, refused
from worker.config.settings import Settings
from worker.vault.vault import new_key

DEMO_KEY = "bmlnaHRseS1kZW1vOiBwcm90ZWN0cyBubyBzZWNyZXQ"  # in docker-compose.yml
FIFTEEN, SIXTEEN = (base64.urlsafe_b64encode(bytes(n % kinds + 128 for n in range(32))).decode() for kinds in (15, 16))
COUNTED, TEXT, HEX = (
    base64.urlsafe_b64encode(key).decode()
    for key in (bytes(range(32)), b"correct horse battery staple 123", b"0123456789abcdef" * 2)
)


@pytest.mark.parametrize(
    "key", ["A" * 43, "_" * 42 + "8", FIFTEEN, COUNTED, TEXT, HEX, DEMO_KEY, f"{SIXTEEN},{DEMO_KEY}"]
)
def test_a_weak_or_published_key_is_refused_outside_a_sandbox(env: Set, key: str) -> None:
    env(LOGIN_KEYS=key)
    (line,) = refused()
    assert line.startswith("LOGIN_KEYS: holds a weak or public key; `nightly keys new` prints a random one")
    assert key not in line

    env(SANDBOX="1")
    assert Settings.load().vault()


def test_random_keys_are_accepted(env: Set) -> None:
    for key in (SIXTEEN, *(new_key() for _ in range(100))):
        env(LOGIN_KEYS=key)
        assert Settings.load().login_keys
