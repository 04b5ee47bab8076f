"""The state of the emulated Flinks: customers, their logins and flags, accepted keys, faults, calls.

A loginId is valid only for the customer (that is, the instance) that issued it; by default every loginId is valid. A
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
    """The customer of one instance: its logins, its keys and its nightly status."""

    keys: frozenset[str] | None = None
    """Accepted keys. None accepts any key, and requests without one."""
    unknown: frozenset[str] = frozenset()
    known: frozenset[str] | None = None
    """None: every login that is not unknown."""
    flags: dict[str, Flag] = field(default_factory=dict)
    nightly_status: dict[str, Any] = field(default_factory=dict)

    def knows(self, login_id: str) -> bool:
        """Return whether this customer issued that login."""
        return login_id not in self.unknown and (self.known is None or login_id in self.known)


@dataclass(frozen=True, slots=True)
class Options:
    """The state at start and after a reset. Empty `auth_keys` accept any key."""

    customer_ids: tuple[str, ...] = (DEFAULT_CUSTOMER_ID,)
    auth_keys: tuple[str, ...] = ()
    api_secrets: tuple[str, ...] = ()
    invalid_login_status: int = 400


class World:
    """The state that a reset replaces."""

    def __init__(self, options: Options) -> None:
        self.stranger_keys = frozenset(options.auth_keys) or None
        self.customers = {name.lower(): Customer(keys=self.stranger_keys) for name in options.customer_ids}
        self.invalid_login_status = options.invalid_login_status
        self.log = CallLog({name: Meter() for name in self.customers})
        self.faults = FaultBoard()

    def knows(self, customer_id: str, login_id: str) -> bool:
        """Return whether the login is valid for that customer; an unknown customer has none."""
        customer = self.customers.get(customer_id)
        return customer is not None and customer.knows(login_id)

    def accepts(self, customer_id: str, presented: str | None) -> bool:
        """Return whether the key is accepted: the raw key, or the key after one scheme word such as `Bearer`."""
        customer = self.customers.get(customer_id)
        keys = self.stranger_keys if customer is None else customer.keys
        if keys is None:
            return True
        return presented is not None and (presented in keys or presented.partition(" ")[2] in keys)

    def set_keys(self, keys: Iterable[str] | None, customer_id: str | None) -> None:
        """Accept only these keys from now on (None: any), for one customer or all."""
        accepted = None if keys is None else frozenset(keys)
        if customer_id is None:
            self.stranger_keys = accepted
        for customer in self.chosen(customer_id):
            customer.keys = accepted

    def chosen(self, customer_id: str | None) -> list[Customer]:
        """Return one customer, or all for None; raises KeyError for an unknown one."""
        return list(self.customers.values()) if customer_id is None else [self.customers[customer_id.lower()]]

    def commit(self, call: Call, now: Moment) -> None:
        """Carry out the write of a call whose login is known."""
        if call.login_id is None or call.wish is None:
            return
        flags = self.customers[call.customer_id].flags
        writes = flags[call.login_id].writes + 1 if call.login_id in flags else 1
        flags[call.login_id] = Flag(call.wish, writes, now.wall, now.monotonic, call.seq)
        self.log.commit(call, now)

    def state(self) -> State:
        """Return every flag ever written."""
        return {name: customer.flags for name, customer in self.customers.items()}


@dataclass(slots=True)
class Emulator:
    """The current world, and the options to create a new one."""

    options: Options
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: flags, calls, faults, lists and keys set at run time."""
        self.world = World(self.options)
