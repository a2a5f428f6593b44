"""The dashboard: pages, their live updates, and a read-only JSON API."""
