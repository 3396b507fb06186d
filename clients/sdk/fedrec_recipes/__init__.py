"""Recommender recipes: models with their local training, scoring and evaluation; no I/O.

Importing a recipe does not import torch; training a neural one does.
"""
