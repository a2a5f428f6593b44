"""The week of the euro against 41 currencies: nightproof's first job on real data."""
