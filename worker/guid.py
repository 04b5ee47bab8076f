"""The form of a GUID, in which Flinks writes loginIds and customer ids; add re.IGNORECASE where capitals count too."""

GUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
