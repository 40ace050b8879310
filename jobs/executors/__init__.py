"""Executors run functions of work items somewhere: here, in processes, on Ray."""
