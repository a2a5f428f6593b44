"""Start-up: from before the process exists to its first (new) step."""
