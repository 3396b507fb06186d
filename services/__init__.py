"""The two services and the plumbing that they share."""
