"""Everything that production never imports: the Flinks emulator, the embedded stack, `nightly demo`, `nightly run`."""
