"""The commands of `blankstream`, by what they are about; `jobs/cli.py` gathers them."""
