"""A model of storms of refused logins, independent of the Lua scripts.

A run belongs to one configuration of one instance, and counts different logins since that configuration's last
confirmed call. It is compared with the limit when it grows: a run beyond a limit that has just fallen is a storm with
its next login.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.integration.ledger.world import INSTANCES, RULES

Caller = tuple[str, str]
"""An instance, and the fingerprint of a configuration."""


@dataclass
class Storms:
    """The runs, the limit of each instance, and the configurations that a storm stopped."""

    runs: dict[Caller, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Of each run its logins, and each one's letter ('': a newer wish came instead)."""
    limits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INSTANCES, RULES.storm_logins))
    suspects: set[Caller] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)
    """Those that a storm has put under suspicion."""

    def refuse(self, caller: Caller, login: str, letter: str) -> bool:
        """Note a refused login that was dead-lettered; returns whether that is a storm."""
        run = self.runs[caller]
        run[login] = letter
        if len(run) < self.limits[caller[0]]:
            return False
        self.letters |= set(run.values())
        self.suspects.add(caller)
        run.clear()
        return True

    def confirm(self, caller: Caller) -> None:
        """Note a confirmed call: its configuration's run ends, and the instance's limit is the default again."""
        self.runs[caller].clear()
        self.limits[caller[0]] = RULES.storm_logins

    def open(self, instance: str, *, after_storm: bool) -> None:
        """Note that a person opened the gate: all runs end, and all configurations may call again."""
        for caller in list(self.runs):
            if caller[0] == instance:
                self.runs[caller].clear()
        self.suspects = {caller for caller in self.suspects if caller[0] != instance}
        if after_storm:
            self.limits[instance] *= 4
