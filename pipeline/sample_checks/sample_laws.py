"""The laws that every sample on disk must obey: what `blankstream verify --deep` asks of rows.

Reads a sample's window and spans back, asks their laws, and assembles the sample again: it must be
equal number for number, which proves labels, positions and boundaries at once.

With the keys of the documents nothing drawn is free but the spans of a document's first window and
of sentences. Without them noise, the replacement of spans in place, the offset of random positions
and all spans are held to what could have been drawn. Damage of one number that is not seen:

- a kept token that is another ordinary one, and the label of a hidden one that is no input too (in
  place, under noise, or the last of a window without eos): only the document knows;
- an objective of the same form and mask token whose rule the spans keep as well;
- in place, a span that begins or ends elsewhere where the tokens there are no masks; with keys only
  in the first window of a document, whose prompt a sample does not tell;
- an origin in another document, or another number of the window, which neither its draws, the order
  in the row nor a neighbour among the rows at hand contradicts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.assemble import Rules
from pipeline.laws.drawn import Bools
from pipeline.mixing import INSTRUCTION
from pipeline.sample_checks.origin_laws import check_origins
from pipeline.sample_checks.restored import restore_many
from pipeline.sample_checks.restored_columns import Columns
from pipeline.sample_checks.rewritten import Rewriter, unequal
from pipeline.sample_checks.row_laws import Problem, Samples, check_numbers, read_samples
from pipeline.sample_checks.span_laws import check_drawn, check_spans
from pipeline.sample_checks.window_laws import Finding, check_windows, windows_of
from pipeline.tools import Tools
from pipeline.window_batch import Engine, Ints, edges_of, ranges
from schemas.build_config import BuildConfig
from schemas.objectives import IGNORE_INDEX
from schemas.samples import RowArrays, RowFormat

Keys = NDArray[np.uint64] | None

STEP_TOKENS = 1 << 18
"""Tokens of rows that are looked at together: arrays of two megabytes."""

_UNREADABLE = (
    "its spans cannot be read back from labels, positions and mask tokens: expected the form of "
    "its objective (docs/objectives.md)"
)


@dataclass(frozen=True)
class Checked:
    """What was looked at: rows, and samples by objective; `problems` in the order of the rows."""

    rows: int
    samples: dict[str, int]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class SampleLaws:
    """The laws of one recipe; `rules` are those of its objectives by name, in the order of names.

    Pure functions of the rows; memory is a small multiple of theirs.
    """

    config: BuildConfig
    rules: tuple[Rules, ...]
    row_format: RowFormat
    engine: Engine

    @classmethod
    def of(cls, tools: Tools) -> Self:
        """The laws of the recipe of `tools`."""
        return cls(tools.config, tools.rules, tools.row_format, tools.engine)

    def check(self, arrays: RowArrays, keys: Keys = None) -> Checked:
        """What is wrong with rows of one work item and split; nothing is raised for damage.

        `keys` (d,) are those of the item's documents in its pass (`randomness.document_key`).
        A sample with several faults is told once for the layout, once for its origin and once for
        the rest. Samples of rows with unlawful lengths are not counted.
        """
        samples, problems = read_samples(arrays, self.row_format, self.rules[0].special.pad)
        holds, found = check_numbers(samples, self._is_allowed)
        problems += found
        lawful = samples.part(holds)
        problems += check_origins(lawful)
        if keys is not None:
            problems += lawful.problems(
                lawful.documents < len(keys),
                lambda i: f"document {lawful.documents[i]}: expected one of the item's {len(keys)}",
            )
            lawful = lawful.part(lawful.documents < len(keys))
        rows = np.ascontiguousarray(arrays.rows)
        for part in self._steps(lawful):
            problems += _Group(self, rows, part, keys).check()
        problems.sort(key=lambda one: (one.row, -1 if one.sample is None else one.sample))
        return Checked(len(rows), self._count(samples), tuple(problems))

    @property
    def _is_allowed(self) -> Bools:
        """(objectives,) True for those that may have samples."""
        objectives = [rules.objective for rules in self.rules]
        return np.array([one.share > 0 or one.kind == INSTRUCTION for one in objectives])

    def _count(self, samples: Samples) -> dict[str, int]:
        counts = Counter(samples.objectives.tolist())
        return {name: counts[code] for code, name in enumerate(self.row_format.objectives)}

    def _steps(self, samples: Samples) -> Iterator[Samples]:
        """Samples of one objective, of rows of about `STEP_TOKENS` tokens."""
        size = max(1, STEP_TOKENS // self.row_format.row_tokens)
        last = int(samples.rows.max(initial=-1))
        for first in range(0, last + 1, size):
            here = slice(*np.searchsorted(samples.rows, (first, first + size)).tolist())
            part = samples.part(here)
            for objective in np.flatnonzero(np.bincount(part.objectives)):
                yield part.part(part.objectives == objective)


class _Group:
    """Samples of one objective, narrowed to those that have kept every law so far."""

    def __init__(self, laws: SampleLaws, rows: NDArray[Any], samples: Samples, keys: Keys) -> None:
        self._laws, self._rows, self._samples, self._keys = laws, rows, samples, keys
        self._rules = laws.rules[samples.objectives[0]]
        self._problems: list[Problem] = []

    def check(self) -> list[Problem]:
        """What is wrong: the first that is found in each sample."""
        laws, rules, config = self._laws, self._rules, self._laws.config
        columns = self._columns()
        columns = columns.part(self._keep(check_ids(columns, rules)))
        readable, restored = restore_many(columns, rules)
        self._keep([(readable, lambda i: _UNREADABLE)])
        restored = restored.part(self._keep(check_windows(self._samples, restored, rules, config)))
        documents = self._samples.documents
        keys = np.zeros(len(documents), np.uint64) if self._keys is None else self._keys[documents]
        windows, spans = windows_of(self._samples, restored, config, keys), restored.spans
        findings = [check_spans(windows, spans, rules, config.shuffle_spans)]
        if self._keys is not None:
            drawn = laws.engine.draw(windows, laws.rules, config.shuffle_spans)
            findings.append(check_drawn(windows, spans, drawn, rules))
        kept = self._keep(findings)
        rewriter = Rewriter(laws.engine, laws.rules, laws.row_format, self._keys is not None)
        parts = self._samples, windows.part(kept), spans.part(kept)
        self._keep(rewriter.compare(self._rows, *parts))
        return self._problems

    def _keep(self, findings: Iterable[Finding]) -> Ints:
        """Report the samples that break a law, each once, and go on with the others; returns which
        they are."""
        holds = np.ones(len(self._samples), bool)
        for found, what in findings:
            self._problems += self._samples.problems(found | ~holds, what)
            holds &= found
        kept = np.flatnonzero(holds)
        self._samples = self._samples.part(kept)
        return kept

    def _columns(self) -> Columns:
        samples, row_format = self._samples, self._laws.row_format
        flat = ranges(samples.rows * row_format.width + samples.firsts, samples.lengths)
        tokens, labels, positions = (
            self._rows.reshape(-1)[flat + row_format.slices[name].start].astype(np.int64)
            for name in ("tokens", "labels", "positions")
        )
        labels[labels == row_format.ignore] = IGNORE_INDEX
        return Columns(tokens, labels, positions, edges_of(samples.lengths), samples.boundaries)


def check_ids(columns: Columns, rules: Rules) -> Iterator[Finding]:
    """Tokens and labels are ids of the vocabulary, or labels ignored."""
    most = rules.vocab_size - 1
    for name, values in (("tokens", columns.tokens), ("labels", columns.labels)):
        yield unequal(name, columns.edges, np.minimum(values, most), values)
