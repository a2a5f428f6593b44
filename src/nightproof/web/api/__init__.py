"""The read-only JSON API and its description."""
