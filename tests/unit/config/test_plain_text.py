"""Addresses that send passwords and events unencrypted to another machine are reported."""

import pytest
from structlog.testing import capture_logs

from worker.config.plain_text import plain_text_hosts, plain_text_settings
from worker.config.settings import Settings
from worker.services import warn_of_plain_text


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://user:secret@redis.internal:6379/0", ("redis.internal",)),
        ("redis://:p%40ss@[fd00::1]:6379/0", ("fd00::1",)),
        ("amqp://user:secret@mq.internal/vhost", ("mq.internal",)),
        ("sentinel://user:secret@127.0.0.1:1,s2.internal,s3.internal:3/service/0", ("s2.internal", "s3.internal")),
        ("redis://127.0.0.1:6379/0", ()),
        ("redis://:secret@localhost/0", ()),
        ("amqp://[::1]", ()),
        ("rediss://redis.internal:6379/0", ()),
        ("amqps://mq.internal", ()),
        ("unix:///run/redis.sock", ()),
    ],
)
def test_only_other_hosts_without_tls_are_named(url: str, hosts: tuple[str, ...]) -> None:
    assert plain_text_hosts(url) == hosts


def test_each_unencrypted_setting_is_named_without_its_password() -> None:
    settings = Settings.model_validate(
        {"redis_url": "redis://:secret@a.internal/0", "broker_url": "amqps://b.internal"}
    )
    assert plain_text_settings(settings) == {"REDIS_URL": ("a.internal",)}


def test_a_starting_process_logs_the_unencrypted_hosts_and_no_password() -> None:
    settings = Settings.model_validate(
        {"redis_url": "redis://:secret@a.internal/0", "broker_url": "amqp://mq.internal"}
    )
    with capture_logs() as lines:
        warn_of_plain_text(settings)
    assert [(line["event"], line["setting"], line["hosts"]) for line in lines] == [
        ("plain_text_connection", "REDIS_URL", ("a.internal",)),
        ("plain_text_connection", "BROKER_URL", ("mq.internal",)),
    ]
    assert "secret" not in str(lines)
