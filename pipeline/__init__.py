"""documents -> sentences -> windows -> spans -> samples -> rows -> shards -> stream.

Pure functions of (input, config, seed), one module per arrow, in that order. Imports schemas only;
never torch, never Ray.
"""
