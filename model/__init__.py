"""The GLM: batch -> hidden -> loss, blank filling, checkpoints. Imports torch and schemas only."""
