"""The pattern of a GUID, the format of Flinks' loginIds and customer ids; add re.IGNORECASE to match capitals."""

GUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
