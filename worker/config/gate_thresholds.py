"""The thresholds that shut the gate of an instance by itself.

The defaults are those of the settings GATE_*, where each has its reason; outage.lua and credentials.lua act on them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GateRules:
    """An outage: failure ratio over a minimum number of calls within a window, or a number of failed logins in a row.

    A storm: this many logins in a row that Flinks refuses as INVALID_LOGIN or UNAUTHORIZED.
    """

    outage_ratio: float = 0.5
    outage_min_calls: int = 20
    outage_window_seconds: float = 10
    outage_in_a_row: int = 10
    storm_logins: int = 25


DEFAULT_RULES = GateRules()
