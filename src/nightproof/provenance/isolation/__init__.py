"""Attempts with nothing but the contract around them: ``nightproof run --isolate``."""
