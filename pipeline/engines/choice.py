"""Choosing the engine that draws spans and writes samples; every choice gives the same bytes.

Stands between `window_batch.py`, which defines what an engine is, and the build. An objective that
a fast engine does not know goes through `plain.py`, so that adding one takes one line.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from pipeline.assemble import Rules
from pipeline.engines import batched, plain
from pipeline.objectives import OBJECTIVES
from pipeline.window_batch import Engine, Placement, Rows, SpanBatch, WindowBatch, merge
from schemas.errors import ConfigError

ENGINES = ("plain", "batched", "compiled")
"""Names of the engines, the slowest first."""

ENGINE_VARIABLE = "BLANKSTREAM_ENGINE"
"""Environment variable that names the engine to use."""


def choose_engine(name: str = "") -> Engine:
    """The engine called `name`, else that of BLANKSTREAM_ENGINE, else the fastest one there is.

    That is "compiled" where numba is installed and "batched" elsewhere. `ConfigError` for an
    unknown name, and for "compiled" without numba.
    """
    asked = name or os.environ.get(ENGINE_VARIABLE, "")
    if asked and asked not in ENGINES:
        place = "engine" if name else ENGINE_VARIABLE
        raise ConfigError(f"{place}={asked!r}: expected one of {', '.join(ENGINES)}")
    has_numba = find_spec("numba") is not None
    if asked == "compiled" and not has_numba:
        raise ConfigError(
            'the engine "compiled" needs numba: pip install numba, or choose "batched"'
        )
    chosen = asked or ("compiled" if has_numba else "batched")
    if chosen == "plain":
        return plain
    if chosen == "batched":
        return Completed(batched, batched.SAMPLERS, batched.FORMS)
    from pipeline.engines import compiled  # imports numba, which takes most of a second

    return Completed(compiled, compiled.SAMPLERS, compiled.FORMS)


@dataclass(frozen=True)
class Completed:
    """An engine for every objective: `fast` for what it knows, the plain one for the rest.

    `samplers` and `forms` are the functions of the definition that `fast` reproduces.
    """

    fast: Engine
    samplers: Collection[Callable[..., Any]]
    forms: Collection[Callable[..., Any]]

    def draw(self, windows: WindowBatch, rules: Sequence[Rules], shuffle: bool) -> SpanBatch:
        """`Engine.draw`."""
        lines = [OBJECTIVES[one.objective.kind] for one in rules]
        is_known = np.array([line.sample in self.samplers for line in lines], bool)
        known = is_known[windows.objectives]
        if known.all():
            return self.fast.draw(windows, rules, shuffle)
        parts = []
        for engine, inside in ((self.fast, known), (plain, ~known)):
            chosen = np.flatnonzero(inside)
            parts.append((chosen, engine.draw(windows.part(chosen), rules, shuffle)))
        return merge(parts, len(windows))

    def write(
        self,
        windows: WindowBatch,
        spans: SpanBatch,
        rules: Sequence[Rules],
        placement: Placement,
        rows: Rows,
    ) -> None:
        """`Engine.write`."""
        lines = [OBJECTIVES[one.objective.kind] for one in rules]
        is_known = np.array([line.form.assemble in self.forms for line in lines], bool)
        known = is_known[windows.objectives]
        if known.all():
            self.fast.write(windows, spans, rules, placement, rows)
            return
        for engine, inside in ((self.fast, known), (plain, ~known)):
            chosen = np.flatnonzero(inside)
            part = windows.part(chosen)
            engine.write(part, spans.part(chosen), rules, placement.part(chosen), rows)
