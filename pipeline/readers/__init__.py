"""bytes -> documents: one reader for each kind of input; `pipeline/documents.py` calls them."""
