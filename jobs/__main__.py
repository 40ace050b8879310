"""`python -m jobs` is the `blankstream` command."""

from jobs.cli import main

if __name__ == "__main__":
    main()
