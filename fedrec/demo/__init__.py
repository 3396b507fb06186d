"""The demonstration: 610 people's devices train a recommender together, over real HTTP, and then use it."""
