"""Integer noise for differential privacy, from operating-system randomness, on device and server alike.

Noise is drawn on the integer grid of a round, never as floating-point numbers: the low bits of a floating-point
Gaussian tell the value it was added to (Mironov 2012, https://doi.org/10.1145/2382196.2382264).
"""
