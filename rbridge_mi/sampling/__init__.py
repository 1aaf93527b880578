"""Gibbs sampling of mixed models with incomplete covariates, in numpy; many chains at once.

Nothing here knows of pandas or R: arrays come in and arrays go out. The first axis of an array is
the chain wherever chains differ, and no chain's numbers depend on which others share its array.
"""
