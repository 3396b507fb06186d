"""Recipes that train many participants at once; everything else is trained one by one.

Such a trainer does what `Recipe.train` and `Recipe.score` do, bit for bit, and computes what depends on the base
version only once for all. It lives here and not beside its recipe because it may use numba, which the device does
not need. A recipe may also offer these two methods itself.
"""
