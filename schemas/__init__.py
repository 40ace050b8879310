"""The named types that cross a seam: configuration, objectives, samples, plan, manifest, errors.

First in the flow: every other package imports from here, and nothing here imports from them.
"""
