"""The append-only record of runs: its records, its protocol, group commit and the lease."""
