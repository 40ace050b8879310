"""Wiring: command line, executors, trainer. The only place with Ray, printing and arguments."""
