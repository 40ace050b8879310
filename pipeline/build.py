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
from pathlib import Path
from typing import Any

from pipeline.document_table import duplicate_error, write_documents
from pipeline.documents import BadInput, Document, bad_ratio_error, is_heldout, read_documents
from pipeline.planning import check_range
from pipeline.randomness import document_key
from pipeline.rows import SplitWriter
from pipeline.samples import SampleMaker, objective_cycle
from pipeline.sentences import Splitter, load_splitter
from pipeline.spans import MIN_MASKABLE_TOKENS
from pipeline.text import TokenizedDocument, tokenize_documents
from pipeline.tokens import Tokenizer, open_tokenizer
from pipeline.windows import cut_windows
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError, InputError
from schemas.manifest import HELDOUT, SPLITS, SPLITTER_NAME, TOKENIZER_FOLDER, TRAIN
from schemas.plan import WorkItem
from schemas.record import ItemRecord, documents_path, record_path
from schemas.samples import RowFormat
from schemas.storage import commit_text

_MIN_DOCUMENTS_TO_STOP, _STOP_RATIO = 100, 0.5
_RESTORE = "restore it from a copy, or build into another folder"


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
        documents = builder.usable_documents()
        for document in tokenize_documents(documents, tools.splitter, tools.tokenizer):
            builder.add(document)
        return builder.commit()


@lru_cache(maxsize=2)
def load_tools(dataset: Path, recipe_json: str) -> Tools:
    """Tokenizer and splitter of the data set, checked against the hashes in the recipe."""
    recipe = json.loads(recipe_json)
    config = parse_config(BuildConfig, recipe["build"], "recipe")
    tokenizer, splitter = open_tools(dataset, recipe)
    return Tools(config, tokenizer, splitter, row_format_of(recipe))


def open_tools(dataset: Path, recipe: dict[str, Any]) -> tuple[Tokenizer, Splitter]:
    """Tokenizer and splitter of a data set; `DatasetError` when they are not those planned."""
    tokenizer = open_tokenizer(dataset / TOKENIZER_FOLDER)
    try:
        splitter = load_splitter(dataset / SPLITTER_NAME)
    except InputError as error:
        raise DatasetError(f"{error}; {_RESTORE}") from error
    for name, found, planned in (
        ("tokenizer", tokenizer.digest, recipe["tokenizer"]["model_sha256"]),
        ("splitter", splitter.digest, recipe["splitter_sha256"]),
    ):
        if found != planned:
            raise DatasetError(
                f"{dataset}: the {name} is damaged: SHA-256 {found}, planned {planned}; {_RESTORE}"
            )
    return tokenizer, splitter


def row_format_of(recipe: dict[str, Any]) -> RowFormat:
    """Row format that a recipe leads to; objectives are coded 1, 2, ... in the order of names."""
    build = recipe["build"]
    return RowFormat.for_vocabulary(
        recipe["tokenizer"]["vocab_size"],
        build["row_tokens"],
        build["max_samples"],
        tuple(sorted(build["objective"])),
    )


class _ItemBuilder:
    """State of one item while it is built: writers, counts, documents, what was unusable."""

    def __init__(
        self, context: BuildContext, item: WorkItem, tools: Tools, stack: ExitStack
    ) -> None:
        self._context, self._item, self._config = context, item, tools.config
        self._special = tools.tokenizer.special
        self._counts: Counter[str] = Counter()
        self._bad: list[BadInput] = []
        self._documents: list[tuple[Document, str]] = []
        self._seen: dict[str, Document] = {}
        self._writers: dict[str, SplitWriter] = {}
        self._makers: dict[str, SampleMaker] = {}
        codes = {name: code for code, name in enumerate(tools.row_format.objectives, start=1)}
        shares = {name: part.share for name, part in self._config.objective.items()}
        for split in SPLITS:
            self._writers[split] = stack.enter_context(
                SplitWriter(
                    context.dataset, item, split, tools.config, tools.row_format, self._special.pad
                )
            )
            objectives = objective_cycle(shares, item.id, split)
            self._makers[split] = SampleMaker(
                self._config, self._special, codes, objectives, self._counts
            )

    def usable_documents(self) -> Iterator[Document]:
        """Documents with text, in order; the others are counted, bad input is kept aside."""
        for source in self._item.slice.ranges:
            for read in read_documents(self._context.sources[source.path], source, self._config):
                if isinstance(read, BadInput):
                    self._bad.append(read)
                    self._counts[f"bad.{read.reason}"] += 1
                    continue
                self._counts["documents"] += 1
                self._refuse_second(read)
                if not read.text.strip():
                    self._counts["documents.dropped.empty_text"] += 1
                elif self._item.pass_number == 0 or self._split_of(read) == TRAIN:
                    yield read

    def add(self, tokenized: TokenizedDocument) -> None:
        """Cut, corrupt and pack one document."""
        document, tokens = tokenized.document, tokenized.tokens
        if not len(tokens):
            self._counts["documents.dropped.no_tokens"] += 1
            return
        split, number = self._split_of(document), len(self._documents)
        self._documents.append((document, split))
        self._counts[f"{split}.documents"] += 1
        self._counts[f"{split}.document_tokens"] += len(tokens)
        key = document_key(self._config.seed, self._item.pass_number, document.id)
        for window in cut_windows(tokens, tokenized.sentence_ends, self._config, self._special):
            if window.last - window.first < MIN_MASKABLE_TOKENS:
                self._counts[f"{split}.windows.dropped.too_short"] += 1
                continue
            sample = self._makers[split].make(window, key, split)
            self._writers[split].add(replace(sample, document=number))

    def commit(self) -> ItemRecord:
        """Finish the shards, then write documents, quarantine and, last, the record."""
        self._stop_if_mostly_bad()
        for split, writer in self._writers.items():
            writer.finish()
            self._counts[f"{split}.rows"] = writer.num_rows
        dataset, name = self._context.dataset, self._item.name
        documents = write_documents(documents_path(dataset, name), self._documents)
        self._write_quarantine()
        record = ItemRecord(
            item=self._item.id,
            slice=self._item.slice.number,
            pass_number=self._item.pass_number,
            shards=tuple(shard for writer in self._writers.values() for shard in writer.shards),
            documents=documents,
            counts=dict(sorted(self._counts.items())),
        )
        commit_text(record_path(dataset, name), record.to_json())
        return record

    def _write_quarantine(self) -> None:
        if self._bad and self._item.pass_number == 0:
            lines = (json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in self._bad)
            path = self._context.dataset / "quarantine" / f"{self._item.slice.number:05d}.jsonl"
            commit_text(path, "".join(lines))

    def _split_of(self, document: Document) -> str:
        return HELDOUT if is_heldout(document.id, self._config.heldout_ratio) else TRAIN

    def _refuse_second(self, document: Document) -> None:
        first = self._seen.setdefault(document.id, document)
        if first is not document:
            places = [f"{found.path}#{found.start}" for found in (first, document)]
            raise duplicate_error(document.id, *places)

    def _stop_if_mostly_bad(self) -> None:
        total = self._counts["documents"] + len(self._bad)
        limit = max(_STOP_RATIO, self._config.max_bad_ratio)
        if total >= _MIN_DOCUMENTS_TO_STOP and len(self._bad) > limit * total:
            raise bad_ratio_error(len(self._bad), total, limit, self._bad)
