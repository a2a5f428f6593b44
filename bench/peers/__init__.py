"""The contenders: raw limits, nightproof, and other engines in a normal fast configuration."""
