"""Arrow numbers as NumPy arrays of the same memory."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shard_formats.arrow_values import values_of
from tests.datasets import write_dataset

TYPES = ["uint16", "uint32", "int32", "int64", "uint64"]


@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(0, 60_000), max_size=20),
    st.integers(0, 25),
    st.integers(0, 25),
)
def test_values_are_those_of_the_array_wherever_it_begins(dtype, numbers, start, count):
    part = pa.array(np.array(numbers, dtype)).slice(start, count)
    values = values_of(part)
    assert values.dtype == dtype
    assert values.tolist() == numbers[start : start + count]


def test_values_are_the_same_memory_and_cannot_be_written_to():
    numbers = np.arange(5)
    values = values_of(pa.array(numbers))
    assert np.shares_memory(values, numbers)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1


def test_missing_values_are_refused():
    with pytest.raises(pa.ArrowInvalid, match="1 of 3 values are missing"):
        values_of(pa.array([1, None, 3]))


READING = """
import sys
class Watching:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pandas":
            print("pandas is imported")
sys.meta_path.insert(0, Watching())
from pipeline.stream import RowStream
with RowStream(sys.argv[1], batch_rows=3) as stream:
    next(stream)
print("read")
"""


def test_a_stream_imports_no_pandas(tmp_path):
    """Which takes half a second, whether anybody uses it or not."""
    path = write_dataset(tmp_path / "data")
    command = [sys.executable, "-c", READING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "read\n"
