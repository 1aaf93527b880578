"""`ImputedData`: m data sets that were imputed from one, and where their cells are kept."""
