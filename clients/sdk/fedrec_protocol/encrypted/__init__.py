"""Encrypted reports: what both sides know of ciphertexts, which the server only ever adds."""
