"""units -> ids: the kinds of tokenizer behind `pipeline/tokens.py`, and GLM's layouts of ids."""
