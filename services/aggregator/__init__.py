"""The aggregator: opens rounds, takes reports in, adds them up, publishes what they come to."""
