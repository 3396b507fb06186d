"""Data adapters: interaction files become one time-ordered `History` per person.

For simulation, demonstration and benchmarks; in production every device has its own history.
"""
