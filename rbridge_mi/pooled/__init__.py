"""m fits as one answer: `MerModList`, `PooledMerMod`, comparisons of nested models."""
