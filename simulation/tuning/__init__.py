"""Search for hyperparameters, by what simulated devices measure on their validation items."""
