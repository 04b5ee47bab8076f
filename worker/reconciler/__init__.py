"""Claims logins that are due, calls Flinks, and settles what it answered."""
