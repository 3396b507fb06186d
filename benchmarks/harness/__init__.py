"""What several benchmarks need: deployments to measure, clients that are light, and the table's rows."""
