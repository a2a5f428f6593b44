"""The clients of the services: plain functions that know nothing of steps."""
