"""A secure round: opened with its descriptor, advanced phase by phase, unmasked at the end.

The mathematics is in `fedrec_protocol.secagg`; here its values are stored, frozen and deleted.
"""
