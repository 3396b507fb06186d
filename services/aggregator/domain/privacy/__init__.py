"""Differential privacy: what is released, what it costs, and the ledger that refuses to overspend.

`events` describes a release apart from who prices it, `accountant` prices, `ledger` decides, `central`,
`adaptive_clipping`, `correlated` and `poisson` are the mechanisms, `statement` says it to people and machines,
`plan` tells the noise before training. The unit is the user, with everything that user ever reports; `statement`
says which data sets are neighbours.
"""
