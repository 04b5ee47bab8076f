"""People who change the ledger in tests."""

from worker.ledger.audit import Actor

ANN = Actor("ann", "operator", "page", "10.0.0.7")
BOB = Actor("bob", "admin", "cli")
