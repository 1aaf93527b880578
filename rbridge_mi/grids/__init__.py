"""Many models on many data sets: their tables, in memory or in a folder that can be resumed."""
