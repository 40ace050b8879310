"""The laws that every sample on disk obeys, checked for `blankstream verify --deep`."""
