"""The state of the emulated Flinks: customers, their logins and flags, accepted keys, faults, calls.

A loginId is valid only at the customer (that is, the instance) that issued it. By default every loginId is valid. A
reset replaces the whole `World`, so a delayed write goes to the old one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import Call, CallLog, Meter, Moment
from sandbox.emulator.faults import FaultBoard

DEFAULT_CUSTOMER_ID = "43387ca6-0391-4c82-857d-70d95f087ecb"


@dataclass(slots=True)
class Flag:
    """The nightly-refresh flag of one login, and the call that wrote it last."""

    is_activated: bool
    writes: int
    written_at: float
    written_monotonic: float
    seq: int


State = dict[str, dict[str, Flag]]
"""Flags by customer id and loginId; a login that was never written is not in it."""


@dataclass(slots=True)
class Customer:
    """One instance's customer: its own logins, keys, and what its nightly status reports."""

    keys: frozenset[str] | None = None
    """None accepts any key, and none at all."""
    unknown: frozenset[str] = frozenset()
    known: frozenset[str] | None = None
    """None: every login that is not unknown."""
    flags: dict[str, Flag] = field(default_factory=dict)
    nightly_status: dict[str, Any] = field(default_factory=dict)

    def knows(self, login_id: str) -> bool:
        """Say whether this customer issued that login."""
        return login_id not in self.unknown and (self.known is None or login_id in self.known)


@dataclass(frozen=True, slots=True)
class Options:
    """How the emulator starts, and what a reset goes back to. Empty `auth_keys` accept any key."""

    customer_ids: tuple[str, ...] = (DEFAULT_CUSTOMER_ID,)
    auth_keys: tuple[str, ...] = ()
    api_secrets: tuple[str, ...] = ()
    invalid_login_status: int = 400


class World:
    """Everything that a reset forgets."""

    def __init__(self, options: Options) -> None:
        self.stranger_keys = frozenset(options.auth_keys) or None
        self.customers = {name.lower(): Customer(keys=self.stranger_keys) for name in options.customer_ids}
        self.invalid_login_status = options.invalid_login_status
        self.log = CallLog({name: Meter() for name in self.customers})
        self.faults = FaultBoard()

    def knows(self, customer_id: str, login_id: str) -> bool:
        """Say whether the login is valid at that customer; at a wrong customer none is."""
        customer = self.customers.get(customer_id)
        return customer is not None and customer.knows(login_id)

    def accepts(self, customer_id: str, presented: str | None) -> bool:
        """Say whether the key is good: the raw key, or the key after one scheme word such as `Bearer`."""
        customer = self.customers.get(customer_id)
        keys = self.stranger_keys if customer is None else customer.keys
        if keys is None:
            return True
        return presented is not None and (presented in keys or presented.partition(" ")[2] in keys)

    def set_keys(self, keys: Iterable[str] | None, customer_id: str | None) -> None:
        """Accept only these keys from now on (None: any), at one customer or at all."""
        accepted = None if keys is None else frozenset(keys)
        if customer_id is None:
            self.stranger_keys = accepted
        for customer in self.chosen(customer_id):
            customer.keys = accepted

    def chosen(self, customer_id: str | None) -> list[Customer]:
        """Return one customer, or all for None; raises KeyError for one that is not here."""
        return list(self.customers.values()) if customer_id is None else [self.customers[customer_id.lower()]]

    def commit(self, call: Call, now: Moment) -> None:
        """Make the write of a call whose login is known."""
        if call.login_id is None or call.wish is None:
            return
        flags = self.customers[call.customer_id].flags
        writes = flags[call.login_id].writes + 1 if call.login_id in flags else 1
        flags[call.login_id] = Flag(call.wish, writes, now.wall, now.monotonic, call.seq)
        self.log.commit(call, now)

    def state(self) -> State:
        """Return every flag that was ever written."""
        return {name: customer.flags for name, customer in self.customers.items()}


@dataclass(slots=True)
class Emulator:
    """The current world, and how to begin a new one."""

    options: Options
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: flags, calls, faults, lists and keys set at run time."""
        self.world = World(self.options)
