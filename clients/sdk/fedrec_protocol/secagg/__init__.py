"""Secure aggregation, version 1: both sides as values and pure functions, no I/O.

The server learns the sum of the participants' integer vectors modulo 2**b and nothing else about any
one of them. Double masking with Shamir shares: Bonawitz et al. 2017, https://eprint.iacr.org/2017/281;
sparse neighbour graph: Bell et al. 2020, https://eprint.iacr.org/2020/704.

Read in this order: `descriptor` (what a round is), `messages` (what crosses the wire), `participant` (the
device's states), `round_context`, `roster`, `sharing`, `survivors`, `reveals` and `unmasking` (the server's
phases). No outside cryptographic review has been made; docs/privacy.md states what is protected.
"""
