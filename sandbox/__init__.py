"""What is not production: the emulator of Flinks, an embedded stack, the demo, `nightly run`."""
