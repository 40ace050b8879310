"""`verify`, `repair` and `merge` of data sets."""
