"""Implementations of the runtime; each stands alone and receives a journal."""
