"""`nightly demo`: the whole product on one machine for a minute, with a Flinks full of faults, and checked."""
