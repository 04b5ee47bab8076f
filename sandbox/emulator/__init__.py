"""An emulator of the Flinks API with configurable faults, for tests and the demo. Production never imports it."""
