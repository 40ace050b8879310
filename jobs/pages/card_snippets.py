"""Sections of the card that are much the same for every data set: building, reading, limits."""

from jobs.pages.markdown_text import block
from schemas.manifest import Manifest

LIMITS = """\
- The rows hold tokens of the tokenizer above: a model with another vocabulary cannot use them.
- What is hidden was drawn once for each pass. More passes give other blanks of the same text.
- Samples are cut from windows of one document each; a document longer than a window is in several.
- Text is neither filtered for quality nor searched for personal data here, and duplicates are
  counted, not removed. What the sources held is in the rows.
- Held-out documents are those whose id has a small hash. They are held out of this data set; the
  same text under another id may be in the training split."""

_PYTHON = """\
from pipeline.stream import RowStream

with RowStream({"DATASET": 1.0}, batch_rows=64, seed=1, epochs=1) as stream:
    for batch in stream:
        batch.tokens, batch.labels, batch.positions, batch.block_positions  # (rows, row_tokens)
        batch.lengths, batch.boundaries, batch.objectives  # (rows, max_samples)"""

_WEBDATASET = """\
from pathlib import Path

import webdataset

shards = sorted(map(str, Path("DATASET/shards/train").rglob("*.tar")))
for sample in webdataset.WebDataset(shards, shardshuffle=False).decode():
    arrays = sample["ten"]  # in the order that dataset.json says"""

_ARROW = """\
from pathlib import Path

import pyarrow

for shard in sorted(Path("DATASET/shards/train").rglob("*.arrow")):
    with pyarrow.ipc.open_file(shard) as file:
        rows = file.read_all()["row"]  # the schema's metadata says what a row is made of"""


def rebuilding(manifest: Manifest) -> str:
    """How the same rows are made again, and how one sees that they are the same."""
    command = "blankstream build --preset DATASET/config.toml --input INPUT... --output NEW"
    return (
        "`config.toml` in this folder is the configuration of the build. With the same inputs "
        "under the same names, and the libraries above, the rows come out byte for byte:\n\n"
        f"{block(command)}\n\n"
        "Where it names a tokenizer or a splitter by a path of another machine, give those of this "
        "folder: `build.tokenizer.path=DATASET/tokenizer build.splitter=DATASET/splitter.json`.\n\n"
        "Then compare `content_digest` in `NEW/manifest.json` with the digest of the rows: "
        f"`{manifest.content_digest}`. It depends on neither machine, number of workers nor shard "
        "format. `blankstream verify DATASET` checks a copy against its own hashes."
    )


def reading(manifest: Manifest) -> str:
    """Code that reads this data set, verified and shuffled, or with other libraries."""
    is_tar = manifest.shard_format == "tar"
    library, other = ("WebDataset", _WEBDATASET) if is_tar else ("Arrow", _ARROW)
    verified = f"Verified, shuffled and resumable:\n\n{block(_PYTHON, 'python')}\n\n"
    return f"{verified}With {library} alone, unverified:\n\n{block(other, 'python')}"
