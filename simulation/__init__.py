"""Many participants in one process, without HTTP or a database, on the same domain code as the services.

Everything that a round computes is called from where the services and the SDK have it: local training and the
report (`fedrec_sdk`), the checks and the integer sum (`services.aggregator.domain`), the aggregation rule, the
lives of rounds and tasks. So the same seeds give the same weights, bit for bit, here and over HTTP.
"""
