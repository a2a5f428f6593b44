"""The command `nightproof`."""
