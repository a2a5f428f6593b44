"""Nouns and pure rules; imports nothing above it."""
