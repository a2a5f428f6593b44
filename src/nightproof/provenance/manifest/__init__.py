"""The manifest of an artifact: what it came from, to be checked anywhere."""
