"""An environment as a file: pylock.toml (PEP 751) by uv, with the digests that prove it again."""
