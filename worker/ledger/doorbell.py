"""A bell in the ledger's Redis, rung by whoever recorded an event and is no worker; one worker hears it, and pulses.

So a worker decides whether to send a wake-up, as after every recording of its own, and sends it to its own broker.
Who rings needs neither a broker nor a Flinks key. A ring that is lost costs what a lost wake-up does: the next pulse
sees the work.
"""

from worker.ledger.connection import BytesRedis

KEY = "nightly:doorbell"
LIFE_MS = 1000
"""By then a pulse has looked anyway; where no worker runs, nothing remains."""
WAIT_SECONDS = 0.3
"""A worker that stops waits for this at most; listening costs an idle Redis three commands a second."""

_RING = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('RPUSH', KEYS[1], '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""


class Doorbell:
    """Any number of rings that nobody has heard yet are one."""

    def __init__(self, client: BytesRedis) -> None:
        self._redis = client

    def ring(self) -> None:
        """Have one worker pulse soon, if there is any; raises redis.RedisError.

        Ring after recording: a ring that finds the bell rung is heard later than that, so its event is seen.
        """
        self._redis.eval(_RING, 1, KEY, LIFE_MS)

    def heard(self) -> bool:
        """Wait a moment for a ring, and say whether there was one; raises redis.RedisError."""
        return self._redis.blpop([KEY], timeout=WAIT_SECONDS) is not None
