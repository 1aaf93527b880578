"""MerMod: one fit, its tables and R's answers."""
