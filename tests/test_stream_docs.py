"""The program in docs/stream.md that needs pyarrow alone reads what the stream reads."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from pipeline.stream import RowStream

DOCS = Path(__file__).parents[1] / "docs" / "stream.md"


def test_a_data_set_is_read_with_pyarrow_alone(tmp_path: Path, built: Path) -> None:
    program = re.findall(r"```python\n(import json\n.*?)```", DOCS.read_text("utf-8"), re.S)[0]
    assert len(program.splitlines()) <= 20
    program = program.replace("DATASET", str(built))
    program += "\n        with open('found', 'ab') as out:\n"
    program += "            out.write(parts['tokens'].tobytes())\n"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    with RowStream(built, 1024, epochs=1) as stream:
        batches = list(stream)
        tokens = np.concatenate([batch.tokens for batch in batches])
        order = np.argsort(np.concatenate([batch.row_numbers for batch in batches]))
    found = np.frombuffer((tmp_path / "found").read_bytes(), tokens.dtype)
    assert np.array_equal(found.reshape(tokens.shape), tokens[order])
