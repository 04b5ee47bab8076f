"""A stand-in for the Flinks API with fault knobs, for tests and the demo. Production never imports it."""
