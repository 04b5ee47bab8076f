"""Names, seals and opens loginIds."""
