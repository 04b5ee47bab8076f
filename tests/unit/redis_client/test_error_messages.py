import socket
import ssl

import pytest
import redis

from worker.errors import SettingsError
from worker.redis_client.error_messages import in_log, open_redis, place_of, trouble_of

URL = "redis://user:canary@db.example:6380/0"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (URL, "db.example:6380"),
        ("rediss://db.example", "db.example:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://u:canary@/my%20run/redis.sock?db=1", "/my run/redis.sock"),
        ("sentinel://u:canary@a:1,b:2/primary", "sentinels a:1,b:2"),
    ],
)
def test_the_host_is_shown_and_the_password_is_not(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["redis://:can/ary@h:1", "redis://:can#ary@h", "redis://u:12/canary@h", "redis://h:x"])
def test_an_address_whose_password_would_be_read_as_a_host_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="percent-encode") as caught:
        open_redis(url, name="test")
    assert "canary" not in str(caught.value)


def caused_by(cause: BaseException) -> redis.ConnectionError:
    error = redis.ConnectionError("Error connecting")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.AuthenticationError("WRONGPASS"), "refuses our login"),
        (caused_by(ConnectionRefusedError(111, "Connection refused")), "Nothing listens at db.example:6380"),
        (caused_by(FileNotFoundError(2, "No such file or directory")), "Nothing listens at db.example:6380"),
        (caused_by(PermissionError(13, "Permission denied")), "closed to this user"),
        (caused_by(OSError("AF_UNIX path too long")), "too long for a socket"),
        (caused_by(socket.gaierror(-2, "Name or service not known")), "The host of Redis at"),
        (caused_by(ssl.SSLCertVerificationError("no")), "TLS"),
        (redis.TimeoutError("Timeout reading"), "does not answer in time"),
        (redis.BusyLoadingError("loading"), "loading"),
        (redis.ConnectionError("Connection closed by server."), "broke"),
        (redis.exceptions.OutOfMemoryError("command not allowed"), "full"),
        (redis.exceptions.ReadOnlyError("You can't write"), "replica"),
        (redis.exceptions.NoPermissionError("this user has no permissions to run the 'zadd' command"), "ACL LOG"),
        (
            redis.ResponseError("The user executing the script can't run this command or subcommand"),
            "ACL LOG",
        ),
        (redis.ResponseError("ACL failure in script: User x has no permissions to run the 'get' command"), "ACL LOG"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (redis.ResponseError("MISCONF Redis is configured to save"), "disk"),
        (redis.ResponseError("Command # 1 (XADD s * event MOVED) of pipeline caused error: OOM command"), "full"),
    ],
)
def test_each_kind_of_error_has_its_own_message(error: redis.RedisError, words: str) -> None:
    told = str(trouble_of(error, URL))
    assert words in told
    assert "canary" not in told


def test_a_refused_command_is_not_quoted_because_it_may_hold_a_login() -> None:
    quoting = redis.ResponseError("unknown command `XADD`, with args beginning with: `s` `*` `event` `{canary}`")
    assert "canary" not in str(trouble_of(quoting, URL))


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (redis.ConnectionError("canary"), {"error": "ConnectionError"}),
        (
            redis.exceptions.OutOfMemoryError("command not allowed"),
            {
                "error": "OutOfMemoryError",
                "reason": "Redis is full and accepts no more writes. Raise maxmemory, or find what fills it.",
            },
        ),
        (
            redis.ResponseError("unknown command `XADD`, with args beginning with: `s` `*` `event` `{canary}`"),
            {
                "error": "ResponseError",
                "reason": "Redis refused a command. `nightly doctor` checks what Nightly needs of it.",
            },
        ),
        (ValueError("canary"), {"error": "ValueError"}),
    ],
)
def test_a_log_line_says_why_redis_refused_a_command_and_quotes_nothing(
    error: Exception, fields: dict[str, str]
) -> None:
    assert in_log(error) == fields
