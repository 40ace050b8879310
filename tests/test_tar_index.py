import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from pipeline.shard_formats.tar_index import dataset_json
from schemas.manifest import HELDOUT, TRAIN, ShardEntry
from schemas.sealed import unseal
from tests.test_tar_shards import NARROW, WIDE, write


@pytest.mark.parametrize("row_format", [NARROW, WIDE])
def test_it_says_what_a_reader_must_know(tmp_path, row_format):
    path = tmp_path / "rows.tar"
    arrays, hashes = write(path, row_format)
    entry = ShardEntry("shards/train/rows.tar", TRAIN, "item", 0, 0, 0, 11, 0, 5, hashes)
    heldout = replace(entry, path="shards/heldout/rows.tar", split=HELDOUT, rows=3)
    text = dataset_json(row_format, {"vocab_size": 1000}, [entry, heldout])
    assert text == dataset_json(row_format, {"vocab_size": 1000}, [entry, heldout])
    assert unseal(text, "dataset.json", "mend it", lambda content: content)
    found = json.loads(text)
    assert found["shards"] == {
        "train": [{"path": "shards/train/rows.tar", "rows": 11}],
        "heldout": [{"path": "shards/heldout/rows.tar", "rows": 3}],
    }
    assert found["objectives"] == dict(zip(row_format.objectives, (1, 2), strict=False))
    assert found["tokenizer"] == {"vocab_size": 1000}
    with tarfile.open(path) as opened:
        content = opened.extractfile(opened.next()).read()
    read = {}
    for array in found["arrays"]:
        (length,) = array["shape"]
        content = content[96:]
        read[array["name"]] = np.frombuffer(content, array["dtype"], length)
        content = content[-(-read[array["name"]].nbytes // 64) * 64 :]
    assert content == b""
    assert set(read["labels"][::2].tolist()) == {found["ignore"]}
    assert np.array_equal(read["tokens"], arrays.rows[0, : row_format.row_tokens])
    assert np.array_equal(read["window"], arrays.origin[1, 0])
