"""`nightly demo`: runs the whole product against a faulty Flinks for half a minute, and checks the result."""
