"""`blankstream inspect`: one row as a person reads it, sample by sample."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.dataset import open_dataset
from pipeline.document_table import read_documents_table
from pipeline.packing import decode_row
from pipeline.tokens import Tokenizer, open_tokenizer
from schemas.errors import UserError
from schemas.manifest import TOKENIZER_FOLDER, ShardEntry
from schemas.objectives import IGNORE_INDEX
from schemas.plan import item_name
from schemas.record import ItemRecord, documents_path, record_path
from schemas.samples import Sample
from schemas.sealed import read_sealed

_BLANK_STYLES = ("bold red", "bold green", "bold yellow", "bold blue", "bold magenta", "bold cyan")


@dataclass(frozen=True)
class RowView:
    """One row with where it comes from; `origins` describes each sample's document and range."""

    row: int
    split: str
    place: str
    samples: tuple[Sample, ...]
    objectives: tuple[str, ...]
    origins: tuple[str, ...]
    tokenizer: Tokenizer
    row_tokens: int


def read_row(path: Path, split: str, row: int) -> RowView:
    """Row number `row` of `split`; `UserError` when there is no such row."""
    dataset = open_dataset(path)
    num_rows = dataset.num_rows(split)
    if not 0 <= row < num_rows:
        raise UserError(f"{path}: row {row} of {split} does not exist; it has {num_rows} rows")
    reader = dataset.reader(split)
    values = reader.gather(np.array([row]))[0]
    entry, index, origin = reader.origin(row)
    reader.close()
    samples = decode_row(values, dataset.row_format)
    return RowView(
        row=row,
        split=split,
        place=f"row {index} of {entry.path}",
        samples=tuple(samples),
        objectives=tuple(dataset.row_format.objectives[s.objective - 1] for s in samples),
        origins=tuple(_origins(path, entry, origin[:, : len(samples)])),
        tokenizer=open_tokenizer(path / TOKENIZER_FOLDER),
        row_tokens=dataset.row_format.row_tokens,
    )


def _origins(path: Path, entry: ShardEntry, origin: np.ndarray) -> list[str]:
    name = item_name(entry.pass_number, entry.slice)
    place = record_path(path, name)
    record = ItemRecord.from_json(read_sealed(place), str(place))
    documents = read_documents_table(documents_path(path, name), record.documents)
    lines = []
    for document, window, start, stop in origin.T.tolist():
        known = documents.slice(document, 1).to_pylist()[0]
        lines.append(
            f"document {known['id']} ({known['source']}, bytes {known['start']}..{known['stop']}), "
            f"window {window}, tokens {start}..{stop}"
        )
    return lines


def render_row(view: RowView) -> RenderableType:
    """The row for a terminal: text with numbered blanks, part B in its order, and the arrays."""
    used = sum(len(sample.tokens) for sample in view.samples)
    title = (
        f"{view.split} row {view.row} ({view.place}): {len(view.samples)} samples, "
        f"{used} of {view.row_tokens} tokens used"
    )
    parts: list[RenderableType] = [Text(title, style="bold")]
    for number, sample in enumerate(view.samples):
        heading = f"\nsample {number}: {view.objectives[number]}, {view.origins[number]}"
        parts += [Text(heading), _part_a(sample, view.tokenizer), _part_b(sample, view.tokenizer)]
        parts.append(_arrays(sample, view.tokenizer))
    return Group(*parts)


def _spans(sample: Sample) -> list[tuple[int, int, int]]:
    """(position of the blank, first, stop) of each span of part B, in order."""
    opening = [
        place
        for place in np.flatnonzero(sample.block_positions == 1).tolist()
        if place >= sample.boundary
    ]
    edges = pairwise([*opening, len(sample.tokens)])
    return [(int(sample.positions[first]), first, stop) for first, stop in edges]


def _part_a(sample: Sample, tokenizer: Tokenizer) -> Text:
    order = {position: number for number, (position, _, _) in enumerate(_spans(sample))}
    text, run = Text("A  "), []
    for place, token in enumerate(sample.tokens[: sample.boundary].tolist()):
        if place not in order:
            run.append(token)
            continue
        text.append(tokenizer.decode(run) + " ")
        number, run = order[place], []
        style = _BLANK_STYLES[number % len(_BLANK_STYLES)]
        text.append(f"{tokenizer.piece(token)}{number + 1} ", style=style)
    return text.append(tokenizer.decode(run))


def _part_b(sample: Sample, tokenizer: Tokenizer) -> Text:
    text = Text("B  ")
    for number, (_, first, stop) in enumerate(_spans(sample)):
        words = tokenizer.decode(sample.tokens[first + 1 : stop].tolist())
        text.append(f"{number + 1}: {words}  ", style=_BLANK_STYLES[number % len(_BLANK_STYLES)])
    return text


def _arrays(sample: Sample, tokenizer: Tokenizer) -> Table:
    """The sample's arrays around the boundary, one token a line."""
    table = Table("index", "part", "token", "label", "position", "block position", box=None)
    first = max(0, sample.boundary - 4)
    for place in range(first, min(len(sample.tokens), first + 14)):
        label = int(sample.labels[place])
        table.add_row(
            str(place),
            "A" if place < sample.boundary else "B",
            Text(tokenizer.piece(int(sample.tokens[place]))),
            Text("" if label == IGNORE_INDEX else tokenizer.piece(label)),
            str(int(sample.positions[place])),
            str(int(sample.block_positions[place])),
        )
    return table
