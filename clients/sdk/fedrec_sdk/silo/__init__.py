"""What a silo does under homomorphic encryption: its key, its ciphertexts, its part in a round."""
