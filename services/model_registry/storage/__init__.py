"""Tables and queries: saves what the domain returned."""
