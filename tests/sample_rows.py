"""Rows of samples made without files: documents of drawn tokens, cut, corrupted and packed."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.mixing import ObjectiveMix
from pipeline.objectives import OBJECTIVES, rules_of
from pipeline.packing import Packer, empty_rows
from pipeline.randomness import document_key
from pipeline.readers.reads import Document
from pipeline.sample_checks.sample_laws import Checked, Keys, SampleLaws
from pipeline.text import TokenBatch
from pipeline.window_batch import Engine, Placement, Rows, WindowBatch
from pipeline.windows import WindowCutter
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.samples import ORIGIN_COLUMNS, RowArrays, RowFormat
from tests.strategies import FIRST_TEXT_TOKEN, SPECIAL, VOCAB_SIZE

ENGINE = choose_engine("batched")

SIZES = {"window_tokens": 96, "row_tokens": 300, "max_samples": 5}

GLM = {
    "blank": ObjectiveConfig(kind="blank", noise_ratio=0.2, single_span_ratio=0.3),
    "document": ObjectiveConfig(kind="document", mask="gmask", random_positions=True),
    "prefix": ObjectiveConfig(kind="prefix", mask="gmask"),
    "sentence": ObjectiveConfig(kind="sentence", mask="smask"),
    "instruction": ObjectiveConfig(kind="instruction", mask="gmask"),
}
BASELINES = {
    "bert": ObjectiveConfig(kind="masked_tokens", replace_ratio=0.8, random_ratio=0.1),
    "gpt": ObjectiveConfig(kind="causal_lm"),
    "prefix_lm": ObjectiveConfig(kind="prefix_lm"),
    "spanbert": ObjectiveConfig(kind="masked_lm", replace_ratio=0.5, random_ratio=0.2),
    "t5": ObjectiveConfig(kind="sentinel_spans", random_positions=True),
}
SENTINELS = {
    "blank": ObjectiveConfig(kind="blank", random_positions=True, samples_per_window=3),
    "prefix": ObjectiveConfig(kind="prefix", share=0.4, min_span_ratio=0.2),
}
MIXTURES = {
    "glm": BuildConfig(objective=GLM, short_window_ratio=0.3, **SIZES),
    "baselines": BuildConfig(objective=BASELINES, **SIZES),
    "sentinels": BuildConfig(
        objective=SENTINELS, mix_by="tokens", sentinels=True, block_positions=False, **SIZES
    ),
    "in order": BuildConfig(objective=GLM, shuffle_spans=False, add_cls=False, **SIZES),
    "unframed": BuildConfig(objective=BASELINES, add_cls=False, add_eos=False, **SIZES),
}
"""Recipes with every kind of objective and, between them, every option that changes a sample."""


@dataclass(frozen=True)
class Packed:
    """Rows, how they came to be, and the keys of their documents."""

    arrays: RowArrays
    config: BuildConfig
    rules: tuple[Rules, ...]
    row_format: RowFormat
    keys: NDArray[np.uint64]

    def check(self, keys: Keys = None, engine: Engine = ENGINE) -> Checked:
        """What the laws say of the rows."""
        laws = SampleLaws(self.config, self.rules, self.row_format, engine)
        return laws.check(self.arrays, keys)

    def problems(self, keys: Keys = None) -> list[str]:
        """What is wrong, as people read it."""
        return [str(problem) for problem in self.check(keys).problems]

    def having(self, row: int, name: str, place: int, value: int) -> "Packed":
        """The same with another number at `place` of a part of a row."""
        rows = self.arrays.rows.copy()
        rows[row, self.row_format.slices[name].start + place] = value
        return replace(self, arrays=self.arrays._replace(rows=rows))

    def from_elsewhere(self, row: int, sample: int, column: str, value: int) -> "Packed":
        """The same with another number in the origin of a sample."""
        origin = self.arrays.origin.copy()
        origin[ORIGIN_COLUMNS.index(column), row, sample] = value
        return replace(self, arrays=self.arrays._replace(origin=origin))


def pack(config: BuildConfig, documents: int = 30, tokens: int = 400, seed: int = 1) -> Packed:
    """Rows of so many documents of up to `tokens` tokens, some with a prompt; every number of them
    follows from the arguments."""
    batch = _documents(documents, tokens, seed)
    keys = [document_key(config.seed, 0, document.id) for document in batch.documents]
    mix = ObjectiveMix(config, "item", "train")
    cutter = WindowCutter(config, mix, Counter(), "train")
    numbers = list(range(documents))
    names = tuple(sorted(config.objective))
    rules = tuple(rules_of(config, name, SPECIAL, VOCAB_SIZE) for name in names)
    row_format = RowFormat.for_vocabulary(VOCAB_SIZE, config.row_tokens, config.max_samples, names)
    windows = cutter.cut(batch, numbers, numbers, keys)
    arrays = _write(windows, rules, row_format, config.shuffle_spans)
    return Packed(arrays, config, rules, row_format, np.array(keys, np.uint64))


def _documents(count: int, tokens: int, seed: int) -> TokenBatch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, tokens, count)
    edges = np.concatenate(([0], np.cumsum(lengths)))
    prompts = np.where(rng.random(count) < 0.3, rng.integers(0, lengths - 1), 0)
    total = int(edges[-1])
    inside = np.flatnonzero(rng.random(total) < 0.06) + 1
    documents = [
        Document(
            f"d{n}", "", "", 0, 0, "x" * bool(prompt), is_instruction=bool(prompt) and n % 2 == 0
        )
        for n, prompt in enumerate(prompts.tolist())
    ]
    return TokenBatch(
        documents,
        rng.integers(FIRST_TEXT_TOKEN, SPECIAL.first_sentinel, total).astype(np.int32),
        edges,
        prompts,
        np.unique(np.concatenate((inside, edges[1:], (edges[:-1] + prompts)[prompts > 0]))),
    )


def _write(
    windows: WindowBatch, rules: tuple[Rules, ...], row_format: RowFormat, shuffle: bool
) -> RowArrays:
    spans = ENGINE.draw(windows, rules, shuffle)
    forms = [OBJECTIVES[one.objective.kind].form for one in rules]
    pairs = zip(
        windows.objectives.tolist(), windows.sizes.tolist(), spans.counts.tolist(), strict=True
    )
    packer = Packer(row_format.row_tokens, row_format.max_samples)
    places = [packer.place(forms[one].size(size, number)) for one, size, number in pairs]
    at = np.array(places, np.int64).reshape(-1, 3)
    placement = Placement(*(np.ascontiguousarray(column) for column in at.T))
    count = int(at[:, 0].max(initial=-1)) + 1
    rows = Rows(empty_rows(count, row_format, SPECIAL.pad), row_format)
    ENGINE.write(windows, spans, rules, placement, rows)
    origin = np.zeros((4, count, row_format.max_samples), np.uint32)
    stops = windows.starts + windows.lengths
    columns = (windows.documents, windows.numbers, windows.starts, stops)
    origin[:, placement.rows, placement.places] = columns
    return RowArrays(rows.values, origin)
