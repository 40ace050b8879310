"""text -> sentence spans: Punkt, and the Chinese and Japanese rule, behind `sentences.py`."""
