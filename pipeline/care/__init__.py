"""What verifying, repairing and merging data sets are made of."""
