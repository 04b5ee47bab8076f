"""A full Redis: the pages can be read, and every action says that Redis is full and that nothing was done."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.integration.web.review.letters import INSTANCE, file_login, newest_letter
from tests.review_page import PASSWORD, browser, review_parts, signed_in
from worker.vault.vault import Vault

GROUP = {"instance": INSTANCE, "code": "INVALID_LOGIN", "wish": "off"}


@pytest.fixture
def own_redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[Redis]:
    with (
        EmbeddedRedis(tmp_path, name="own", guard=orphan_guard, takes_config=True) as server,
        Redis.from_url(server.url) as client,
    ):
        yield client


def test_a_full_redis_is_named_and_hides_no_page_and_no_action_is_half_done(own_redis: Redis, vault: Vault) -> None:
    file_login(own_redis, vault)
    letter = f"/letters/{newest_letter(own_redis)}"
    page = signed_in(own_redis, "admin", vault=vault)
    job = page.send("/bulk", verb="replay", **GROUP).headers["location"]
    actions: list[tuple[str, dict[str, str]]] = [
        (f"{letter}/replay", {}),
        (f"{letter}/resolve", {"note": "n"}),
        (f"{letter}/nothing-left", {}),
        (f"{letter}/correct", {"login_id": "another", "reason": "r"}),
        (f"{letter}/correct", {"wish": "on", "reason": "r"}),
        (f"{letter}/assign", {"owner": ""}),
        (f"{letter}/snooze", {}),
        (f"{letter}/reveal", {"reason": "r"}),
        ("/groups/reopen", GROUP),
        ("/bulk", {"verb": "resolve", "note": "n", **GROUP}),
        (f"{job}/run", {}),
        (f"{job}/cancel", {}),
        (f"/operations/gates/{INSTANCE}/close", {"reason": "r"}),
    ]
    before = {key: own_redis.dump(key) for key in own_redis.scan_iter()}
    own_redis.config_set("maxmemory", 1)
    for path in ("/", "/letters", letter, "/bulk", job, "/operations", "/audit"):
        assert page.get(path).status_code == 200, path
    for path, fields in actions:
        response = page.send(path, **fields)
        assert response.status_code == 503, path
        assert "Redis is full and accepts no more writes." in response.text, path
        assert "Nothing was done." in response.text, path
    assert {key: own_redis.dump(key) for key in own_redis.scan_iter()} == before
    assert page.send("/sign-out").headers["location"] == "/sign-in"
    assert not own_redis.keys("nightly:session:*"), "a person can sign out"
    stranger = browser(review_parts(own_redis))
    stranger.get("/sign-in")
    assert "Redis is full" in stranger.send("/sign-in", name="oscar", password=PASSWORD).text
