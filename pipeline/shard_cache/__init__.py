"""Data sets behind URLs: their files as verified downloads in a bounded local folder."""
