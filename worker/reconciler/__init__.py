"""Claims logins that are due, calls Flinks for each, and settles the outcomes."""
