"""Plumbing that both services use: transactions, problems, credentials, clocks, logs. No domain."""
