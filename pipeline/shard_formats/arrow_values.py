"""Numbers of an Arrow array, as a NumPy array of the same memory.

Stands below whatever reads shards and their table. pyarrow's own `to_numpy` imports pandas wherever
that is installed, for half a second before the first row.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def values_of(array: pa.Array) -> NDArray[Any]:
    """The values of an array of numbers as a read-only view (n,); `pa.ArrowInvalid` when any is
    missing."""
    if array.null_count:
        raise pa.ArrowInvalid(f"{array.null_count} of {len(array)} values are missing")
    dtype = np.dtype(array.type.to_pandas_dtype())
    data = array.buffers()[1]
    values = np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
    values.flags.writeable = False
    return values
