"""The Gibbs sampler: m chains at once, as numpy arrays whose first axis is the chains."""
