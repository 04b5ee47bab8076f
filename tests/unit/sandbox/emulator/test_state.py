import pytest

from sandbox.emulator.calls import Moment
from sandbox.emulator.effects import Asked
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID, Emulator, Options, World

CA = "11111111-1111-4111-8111-111111111111"
US = "22222222-2222-4222-8222-22222222222A"


def two_instances() -> World:
    return World(Options(customer_ids=(CA, US)))


def test_every_login_is_known_until_it_is_listed_as_unknown() -> None:
    world = World(Options())
    assert world.knows(DEFAULT_CUSTOMER_ID, "anything")
    (customer,) = world.chosen(None)
    customer.unknown = frozenset({"gone"})
    assert not world.knows(DEFAULT_CUSTOMER_ID, "gone")


def test_with_a_list_of_known_logins_every_other_login_is_unknown() -> None:
    world = World(Options())
    world.chosen(None)[0].known = frozenset({"only"})
    assert world.knows(DEFAULT_CUSTOMER_ID, "only")
    assert not world.knows(DEFAULT_CUSTOMER_ID, "another")


def test_a_login_is_valid_only_at_the_customer_that_issued_it() -> None:
    world = two_instances()
    world.chosen(CA)[0].known = frozenset({"canadian"})
    world.chosen(US)[0].known = frozenset({"american"})
    assert world.knows(CA, "canadian")
    assert not world.knows(US.lower(), "canadian")


def test_at_a_wrong_customer_no_login_is_known() -> None:
    assert not two_instances().knows("33333333-3333-4333-8333-333333333333", "canadian")


def test_any_key_or_none_is_accepted_until_keys_are_named() -> None:
    world = World(Options())
    assert world.accepts(DEFAULT_CUSTOMER_ID, None)
    world.set_keys(["good"], None)
    assert not world.accepts(DEFAULT_CUSTOMER_ID, None)
    assert not world.accepts(DEFAULT_CUSTOMER_ID, "goo")


@pytest.mark.parametrize("presented", ["good", "Bearer good"])
def test_a_key_counts_raw_and_behind_a_scheme(presented: str) -> None:
    assert World(Options(auth_keys=("good",))).accepts(DEFAULT_CUSTOMER_ID, presented)


def test_keys_can_differ_between_instances() -> None:
    world = two_instances()
    world.set_keys(["ca-key"], CA)
    assert not world.accepts(CA, "us-key")
    assert world.accepts(US.lower(), "us-key")


def test_a_write_sets_the_flag_and_counts() -> None:
    world = World(Options())
    for wish in (True, False):
        call = world.log.begin(Asked(DEFAULT_CUSTOMER_ID, "login", wish), Moment(10, 1))
        world.commit(call, Moment(20, 2))
    flag = world.state()[DEFAULT_CUSTOMER_ID]["login"]
    assert (flag.is_activated, flag.writes, flag.written_at, flag.seq) == (False, 2, 20, 2)


def test_a_write_from_before_a_reset_has_no_effect_after_it() -> None:
    emulator = Emulator(Options())
    before = emulator.world
    call = before.log.begin(Asked(DEFAULT_CUSTOMER_ID, "login", wish=True), Moment(10, 1))
    emulator.reset()
    before.commit(call, Moment(20, 2))
    assert emulator.world.state() == {DEFAULT_CUSTOMER_ID: {}}
    assert emulator.world.log.stats(Moment(20, 2)).committed_writes == 0
