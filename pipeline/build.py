"""One work item, from documents to shards and the record: what executors run.

`build_work_item` is a pure function of (recipe, item) apart from where it writes: any process, any
number of times, in any order, gives the same bytes. The record is written last.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from pipeline.arrow_file import write_arrow_file
from pipeline.assemble import assemble
from pipeline.documents import BadInput, Document, read_documents
from pipeline.mixture import schedule
from pipeline.planning import check_range
from pipeline.randomness import Draws, Stream, document_key, hash_fraction
from pipeline.rows import SplitWriter
from pipeline.sentences import Splitter, load_splitter
from pipeline.spans import MIN_MASKABLE_TOKENS, draw_spans
from pipeline.storage import commit_bytes, commit_text
from pipeline.tokens import Tokenizer, open_tokenizer
from pipeline.windows import cut_windows
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import InputError
from schemas.manifest import HELDOUT, SPLITS, TRAIN, FileHashes
from schemas.plan import WorkItem
from schemas.record import ItemRecord
from schemas.samples import RowFormat, Sample, Window

TOKENIZER_FOLDER, SPLITTER_NAME = "tokenizer", "splitter.json"

_ENCODE_CHARACTERS = 1 << 19
_MIN_DOCUMENTS_TO_STOP, _STOP_RATIO = 100, 0.5
_SHOWN_CASES = 3


@dataclass(frozen=True)
class BuildContext:
    """Where an item is built: the data set's folder, the inputs by name, and the recipe."""

    dataset: Path
    sources: dict[str, Path]
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Tools:
    """What a worker loads once: the recipe's build section and the things it names."""

    config: BuildConfig
    tokenizer: Tokenizer
    splitter: Splitter
    row_format: RowFormat


def build_work_item(context: BuildContext, item: WorkItem) -> ItemRecord:
    """Write the shards, documents, quarantine and record of `item`; returns the record.

    Raises `InputError` when an input differs from what was planned, when an id occurs twice, or
    when most of an item is unusable; then no record exists and the item counts as not built.
    """
    tools = load_tools(context.dataset, json.dumps(context.recipe, sort_keys=True))
    for source in item.slice.ranges:
        check_range(context.sources[source.path], source)
    with ExitStack() as stack:
        builder = _ItemBuilder(context, item, tools, stack)
        for document, tokens, ends in builder.tokenized():
            builder.add_document(document, tokens, ends)
        return builder.commit()


@lru_cache(maxsize=2)
def load_tools(dataset: Path, recipe_json: str) -> Tools:
    """Tokenizer and splitter of the data set, checked against the hashes in the recipe."""
    recipe = json.loads(recipe_json)
    config = parse_config(BuildConfig, recipe["build"], "recipe")
    tokenizer = open_tokenizer(dataset / TOKENIZER_FOLDER)
    splitter = load_splitter(dataset / SPLITTER_NAME)
    for name, found, planned in (
        ("tokenizer", tokenizer.digest, recipe["tokenizer"]["model_sha256"]),
        ("splitter", splitter.digest, recipe["splitter_sha256"]),
    ):
        if found != planned:
            raise InputError(
                f"{dataset}: the {name} has SHA-256 {found}, planned was {planned}; restore it or "
                "build into another folder"
            )
    return Tools(config, tokenizer, splitter, row_format_of(recipe))


def row_format_of(recipe: dict[str, Any]) -> RowFormat:
    """Row format that a recipe leads to; objectives are coded 1, 2, ... in the order of names."""
    build = recipe["build"]
    return RowFormat.for_vocabulary(
        recipe["tokenizer"]["vocab_size"],
        build["row_tokens"],
        build["max_samples"],
        tuple(sorted(build["objective"])),
    )


def is_heldout(document_id: str, ratio: float) -> bool:
    """True for documents that only the held-out split sees, whatever the seed and the pass."""
    return hash_fraction(document_id, "heldout") < ratio


class _ItemBuilder:
    """State of one item while it is built: writers, counts, documents, what was unusable."""

    def __init__(
        self, context: BuildContext, item: WorkItem, tools: Tools, stack: ExitStack
    ) -> None:
        self._context, self._item, self._tools = context, item, tools
        self._config, self._special = tools.config, tools.tokenizer.special
        self.counts: Counter[str] = Counter()
        self._bad: list[BadInput] = []
        self._documents: list[dict[str, Any]] = []
        self._seen: dict[str, Document] = {}
        self._writers = {}
        for split in SPLITS:
            writer = SplitWriter(context.dataset, item, split, tools.config, tools.row_format)
            writer.pad = self._special.pad
            self._writers[split] = stack.enter_context(writer)
        self._objectives = {split: self._objective_names(split) for split in SPLITS}

    def tokenized(self) -> Iterator[tuple[Document, NDArray[np.int32], NDArray[np.int64]]]:
        """Usable documents with their tokens and the ends of their sentences, in order."""
        waiting: list[tuple[Document, list[str]]] = []
        characters = 0
        for document in self._usable_documents():
            sentences = [
                document.text[start:stop]
                for start, stop in self._tools.splitter.spans(document.text)
            ]
            waiting.append((document, sentences))
            characters += len(document.text)
            if characters >= _ENCODE_CHARACTERS:
                yield from self._encode(waiting)
                waiting, characters = [], 0
        yield from self._encode(waiting)

    def add_document(
        self, document: Document, tokens: NDArray[np.int32], ends: NDArray[np.int64]
    ) -> None:
        """Cut, corrupt and pack one document."""
        if not len(tokens):
            self.counts["documents.dropped.no_tokens"] += 1
            return
        split = self._split_of(document)
        key = document_key(self._config.seed, self._item.pass_number, document.id)
        number = len(self._documents)
        self._documents.append(
            {
                "id": document.id,
                "source": document.path,
                "start": document.start,
                "stop": document.stop,
                "language": "",
                "split": split,
            }
        )
        self.counts[f"{split}.documents"] += 1
        self.counts[f"{split}.document_tokens"] += len(tokens)
        for window in cut_windows(tokens, ends, self._config, self._special):
            if window.last - window.first < MIN_MASKABLE_TOKENS:
                self.counts["windows.dropped.too_short"] += 1
                continue
            sample = replace(self._sample(window, key, split), document=number)
            self._writers[split].add(sample)

    def commit(self) -> ItemRecord:
        """Finish the shards, then write documents, quarantine and, last, the record."""
        self._stop_if_mostly_bad()
        for split, writer in self._writers.items():
            writer.finish()
            self.counts[f"{split}.rows"] = writer.num_rows
        dataset, item = self._context.dataset, self._item
        stem = dataset / "records" / item.name
        documents = write_documents(stem.with_suffix(".documents.arrow"), self._documents)
        if item.pass_number == 0 and self._bad:
            lines = (json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in self._bad)
            name = f"{item.slice.number:05d}.jsonl"
            commit_bytes(dataset / "quarantine" / name, "".join(lines).encode())
        record = ItemRecord(
            item=item.id,
            slice=item.slice.number,
            pass_number=item.pass_number,
            shards=tuple(shard for writer in self._writers.values() for shard in writer.shards),
            documents=documents,
            counts=dict(sorted(self.counts.items())),
        )
        commit_text(stem.with_suffix(".json"), record.to_json())
        return record

    def _usable_documents(self) -> Iterator[Document]:
        for source in self._item.slice.ranges:
            for read in read_documents(self._context.sources[source.path], source, self._config):
                if isinstance(read, BadInput):
                    self._bad.append(read)
                    self.counts[f"bad.{read.reason}"] += 1
                    continue
                self.counts["documents"] += 1
                self._refuse_second(read)
                if not read.text.strip():
                    self.counts["documents.dropped.empty_text"] += 1
                elif self._item.pass_number == 0 or self._split_of(read) == TRAIN:
                    yield read

    def _encode(
        self, waiting: list[tuple[Document, list[str]]]
    ) -> Iterator[tuple[Document, NDArray[np.int32], NDArray[np.int64]]]:
        flat = [sentence for _, sentences in waiting for sentence in sentences]
        tokens, counts = self._tools.tokenizer.encode(flat)
        edges = np.concatenate(([0], np.cumsum(counts)))
        bounds = [0, *accumulate(len(sentences) for _, sentences in waiting)]
        for (document, _), low, high in zip(waiting, bounds[:-1], bounds[1:], strict=True):
            start, stop = edges[low], edges[high]
            ends = np.unique(edges[low + 1 : high + 1] - start)
            yield document, tokens[start:stop], ends[ends > 0]

    def _sample(self, window: Window, key: int, split: str) -> Sample:
        name = next(self._objectives[split])
        objective = self._config.objective[name]
        spans = draw_spans(window, objective, key, self._config.shuffle_spans)
        special = self._special
        sample = assemble(
            window.tokens, spans, special.mask_id(objective.mask), special.start, special.end
        )
        self._count_sample(f"{split}.{name}", window, sample, len(spans))
        return replace(
            sample,
            objective=self._tools.row_format.objectives.index(name) + 1,
            window=window.number,
            start=window.start,
            stop=window.stop,
        )

    def _count_sample(self, prefix: str, window: Window, sample: Sample, num_spans: int) -> None:
        target = len(sample.tokens) - sample.boundary
        self.counts[f"{prefix}.samples"] += 1
        self.counts[f"{prefix}.spans"] += num_spans
        self.counts[f"{prefix}.window_tokens"] += len(window.tokens)
        self.counts[f"{prefix}.part_a_tokens"] += sample.boundary
        self.counts[f"{prefix}.part_b_tokens"] += target
        self.counts[f"{prefix}.masked_tokens"] += target - num_spans

    def _objective_names(self, split: str) -> Iterator[str]:
        """Objective of the item's windows of one split, in order (design rule 3)."""
        names = [n for n in self._tools.row_format.objectives if self._config.objective[n].share]
        period = schedule([self._config.objective[name].share for name in names])
        key = xxhash.xxh3_64_intdigest(f"{self._item.id}/{split}".encode())
        place = Draws(key, 0, Stream.OBJECTIVE_OFFSET).below(len(period))
        while True:
            yield names[period[place]]
            place = (place + 1) % len(period)

    def _split_of(self, document: Document) -> str:
        return HELDOUT if is_heldout(document.id, self._config.heldout_ratio) else TRAIN

    def _refuse_second(self, document: Document) -> None:
        first = self._seen.setdefault(document.id, document)
        if first is not document:
            raise duplicate_error(
                document.id, f"{first.path}#{first.start}", f"{document.path}#{document.start}"
            )

    def _stop_if_mostly_bad(self) -> None:
        total = self.counts["documents"] + len(self._bad)
        limit = max(_STOP_RATIO, self._config.max_bad_ratio)
        if total >= _MIN_DOCUMENTS_TO_STOP and len(self._bad) > limit * total:
            raise bad_ratio_error(len(self._bad), total, limit, self._bad)


def bad_ratio_error(num_bad: int, total: int, limit: float, bad: list[BadInput]) -> InputError:
    """The message for too much unusable input, with its first cases."""
    cases = "".join(
        f"\n  {case.path} at byte {case.start}: {case.reason} ({case.detail})"
        for case in bad[:_SHOWN_CASES]
    )
    return InputError(
        f"{num_bad} of {total} documents cannot be used, more than the ratio {limit} allowed; "
        f"mend the input or raise build.max_bad_ratio. First cases:{cases}"
    )


def duplicate_error(document_id: str, first: str, second: str) -> InputError:
    """The message for an id that two documents share."""
    return InputError(
        f"document id '{document_id}' occurs twice, at {first} and {second}; ids key the "
        "randomness and must differ: mend them, or build with build.duplicate_ids=suffix"
    )


DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("start", pa.uint64(), nullable=False),
        pa.field("stop", pa.uint64(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)
"""Documents of one item, in order; `start`, `stop`: half-open bytes of the decompressed input."""


def write_documents(path: Path, documents: list[dict[str, Any]]) -> FileHashes:
    """Write the documents table of one item; returns its hashes."""
    batch = pa.RecordBatch.from_pylist(documents, DOCUMENTS_SCHEMA)
    return write_arrow_file(path, DOCUMENTS_SCHEMA, [batch])
