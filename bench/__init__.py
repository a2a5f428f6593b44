"""Benchmarks of nightproof beside raw limits and other engines, on the same work in one run.

`python -m bench` prints every row and writes RESULTS.md and results.json beside this file.
Each measurement is a process of its own; the contenders of a row take turns, round after
round, so that a slow minute of the machine falls on all of them.
"""
