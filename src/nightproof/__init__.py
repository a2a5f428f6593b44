"""nightproof: nightly jobs that finish, act once, repeat themselves and say why when they do not."""
