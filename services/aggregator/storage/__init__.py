"""Tables and queries. They save what the domain returned, and decide nothing."""
