"""`MerMod`: one fitted model, its tables, and the answers of R that it keeps."""
