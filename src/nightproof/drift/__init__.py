"""Drift: whether two runs of a job gave the same, where they part, and what may be the cause."""
