"""Row numbers as the modules of the stream hand them to each other."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
"""Indices, visits or row numbers (n,)."""
