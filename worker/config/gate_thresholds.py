"""The thresholds at which an instance's gate shuts by itself; outage.lua and credentials.lua apply them.

Each default is also that of a GATE_* setting; settings.py gives the reasons.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GateRules:
    """Outage: a failure ratio over a minimum number of calls within a window, or a number of failed logins in a row.

    Storm: `storm_logins` logins in a row that Flinks refuses as INVALID_LOGIN or UNAUTHORIZED.
    """

    outage_ratio: float = 0.5
    outage_min_calls: int = 20
    outage_window_seconds: float = 10
    outage_in_a_row: int = 10
    storm_logins: int = 25


DEFAULT_RULES = GateRules()
