"""The model registry: models, immutable versions with lineage, aliases and the weights themselves."""
