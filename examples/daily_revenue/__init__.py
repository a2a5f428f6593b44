"""The nightly revenue pipeline: three stores, one table, one message."""
