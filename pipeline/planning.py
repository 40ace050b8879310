"""inputs -> plan: group the ranges into slices, name the recipe, compare with an older plan.

Stands between `inputs.py` and the executors.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.inputs import Inputs, cut_ranges, size_and_sha256, size_of
from pipeline.ordered_map import ordered_map
from pipeline.plan_tables import PlanReader, PlanTablesWriter
from pipeline.stores.store import Store
from schemas.build_config import BuildConfig
from schemas.config import to_mapping
from schemas.errors import InputError
from schemas.plan import InputFile, NewSlices, SourceRange
from schemas.samples import SCHEMA_VERSION

_THREADS = min(32, 2 * (os.cpu_count() or 1))
_NOT_IN_RECIPE = ("passes", "item_bytes", "max_bad_ratio", "tokenizer", "splitter")


def group_ranges(
    ranges: Iterable[SourceRange], item_bytes: int
) -> Iterator[tuple[SourceRange, ...]]:
    """Consecutive ranges joined until a slice holds at least half of `item_bytes`."""
    group: list[SourceRange] = []
    size = 0
    for source in ranges:
        group.append(source)
        size += source.stop - source.start
        if size * 2 >= item_bytes:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def cut_inputs(
    store: Store, files: dict[str, str | Path], config: BuildConfig, first_slice: int
) -> NewSlices | None:
    """Cut `files` into slices, numbered from `first_slice` on, and write their tables to `store`.

    Reads every file once, several at a time. None for no files; raises `InputError` for a file that
    cannot be read, and when all are empty that a data set begins with.
    """
    writer = PlanTablesWriter(store, first_slice)
    sizes: list[int] = []

    def ranges() -> Iterator[SourceRange]:
        cut = ordered_map(lambda pair: cut_ranges(*pair, config), files.items(), _THREADS)
        for described, parts in cut:
            writer.add_input(described)
            sizes.append(described.bytes)
            yield from parts

    new = writer.write(group_ranges(ranges(), config.item_bytes))
    if not first_slice and sizes and not any(sizes):
        raise InputError(f"no input holds anything, empty files given: {len(sizes)}; check --input")
    return new


def recipe_libraries(config: BuildConfig, tokenizer_kind: str) -> tuple[str, ...]:
    """Installed libraries whose version can change bytes under `config`, sorted by name.

    `tokenizer_kind` is that of `Tokenizer.describe()`. nltk is not among them: what it trained is
    in the splitter's hash.
    """
    library = "sentencepiece" if tokenizer_kind == "sentencepiece" else "tokenizers"
    detector = ("charset-normalizer",) if config.encoding == "auto" else ()
    return tuple(sorted(("pyarrow", library, *detector)))


def build_recipe(
    config: BuildConfig, tokenizer: dict[str, Any], splitter_digest: str, versions: dict[str, str]
) -> dict[str, Any]:
    """Everything that decides an item's bytes beside the item itself.

    `tokenizer` is `Tokenizer.describe()`; `versions` has those of `recipe_libraries`, of which the
    major and minor numbers count. Python's Unicode tables class the characters of a text.
    """
    build = {key: value for key, value in to_mapping(config).items() if key not in _NOT_IN_RECIPE}
    return {
        "schema_version": SCHEMA_VERSION,
        "build": build,
        "tokenizer": tokenizer,
        "splitter_sha256": splitter_digest,
        "libraries": {name: ".".join(text.split(".")[:2]) for name, text in versions.items()},
        "unicode": unicodedata.unidata_version,
    }


def check_planned(reader: PlanReader, inputs: Inputs) -> None:
    """Raise `InputError` for an input given again whose content is not what was planned."""
    given = (known for known in reader.inputs() if known.path in inputs.files)
    for _ in ordered_map(lambda known: _check_input(known, inputs), given, _THREADS):
        pass


def _check_input(known: InputFile, inputs: Inputs) -> None:
    file = inputs.files[known.path]
    _, found = size_and_sha256(file)
    if found != known.sha256:
        raise InputError(
            f"{file}: changed since it was planned (SHA-256 {found}, planned {known.sha256}); "
            "restore it, or build into another folder"
        )


def new_inputs(reader: PlanReader, inputs: Inputs) -> dict[str, str | Path]:
    """Inputs that the plan does not have; `InputError` when a planned one changed its size."""
    new = dict(inputs.files)
    for known in reader.inputs():
        file = new.pop(known.path, None)
        if file is not None and (size := size_of(file)) != known.bytes:
            raise InputError(
                f"{file}: {size} bytes, but '{known.path}' was planned with {known.bytes}; a "
                "planned input must not change: restore it, give new text as a new file, or build "
                "into another folder"
            )
    return new
