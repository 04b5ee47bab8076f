"""What tests of stream readers share."""

from worker.intake.redis_stream import EntryReader


def die(reader: EntryReader) -> None:
    """Take its heartbeat away, as it is some seconds after a SIGKILL."""
    group = reader._group
    reader._redis.delete(group._heartbeat(group._name))
