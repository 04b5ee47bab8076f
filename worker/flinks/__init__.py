"""Everything that knows Flinks: its protocol, which is pure, and the client around it."""
