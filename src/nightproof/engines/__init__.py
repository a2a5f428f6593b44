"""Implementations of the runtime; each receives a journal, and shares only what an attempt is."""
