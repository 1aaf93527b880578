"""`ImputedData`: m data sets made of one, and where their cells are kept."""
