"""Sampler and assembly: plain loops over samples against the three engines, into equal rows.

Windows of 512 tokens, [CLS] and eos included, under GLM's blank objective; one process, one thread,
rounds interleaved, medians. Then the compiled engine under each other objective. Compiling is not
counted. Prints one JSON line.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.plain_loop import (
    FORMAT,
    SPECIAL,
    TEXT_TOKENS,
    VOCAB_SIZE,
    ArrayLoop,
    ListLoop,
    check,
)
from benchmarks.random_windows import random_windows
from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.objectives import OBJECTIVES
from pipeline.packing import empty_rows
from pipeline.window_batch import Engine, Placement, Rows, WindowBatch
from schemas.build_config import ObjectiveConfig

ROUNDS = 7
WINDOWS = 512
"""The same windows and rows for everyone: 4 MB, which stay in the last cache."""

REPEATS = {"array_loop": 1, "list_loop": 1, "plain": 1, "batched": 4}
"""How often a round writes them; the compiled engine does so 32 times."""

Work = Callable[[WindowBatch, Rows], None]

windows_of_text = partial(
    random_windows, text_tokens=TEXT_TOKENS, stop_token=VOCAB_SIZE - 200, seed=[0]
)


def draw_and_write(engine: Engine, kind: str, windows: WindowBatch, rows: Rows) -> None:
    config = ObjectiveConfig(kind=kind, replace_ratio=0.8, random_ratio=0.1)
    rules = [Rules(config, SPECIAL, VOCAB_SIZE, TEXT_TOKENS + 2)]
    zeros = np.zeros(len(windows), np.int64)
    placement = Placement(np.arange(len(windows)), zeros, zeros)
    engine.write(windows, engine.draw(windows, rules, True), rules, placement, rows)


def samples_per_second(work: Work, repeats: int) -> float:
    windows, rows = windows_of_text(WINDOWS), Rows(empty_rows(WINDOWS, FORMAT, 0), FORMAT)
    start = time.perf_counter()
    for _ in range(repeats):
        work(windows, rows)
    return repeats * WINDOWS / (time.perf_counter() - start)


def medians(runs: dict[str, Work]) -> dict[str, int]:
    found: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(ROUNDS + 1):
        for name, work in runs.items():
            rate = samples_per_second(work, REPEATS.get(name, 32))
            if round_number:  # the first round compiles, or loads what was compiled
                found[name].append(rate)
    return {name: round(statistics.median(rates)) for name, rates in found.items()}


def main() -> None:
    loops = {"array_loop": ArrayLoop(), "list_loop": ListLoop()}
    for loop in loops.values():
        windows, rows = windows_of_text(50), Rows(empty_rows(50, FORMAT, SPECIAL.pad), FORMAT)
        loop.write(windows, rows)
        check(windows, rows)
    engines = {name: choose_engine(name) for name in ("plain", "batched", "compiled")}
    runs: dict[str, Work] = {name: loop.write for name, loop in loops.items()}
    for name, engine in engines.items():
        runs[name] = partial(draw_and_write, engine, "blank")
    others = [kind for kind in OBJECTIVES if kind != "blank"]
    for kind in others:
        runs[kind] = partial(draw_and_write, engines["compiled"], kind)
    rates = medians(runs)
    slower = [*loops, "plain", "batched"]
    result = {
        "benchmark": "samples",
        "samples_per_second": {name: rates[name] for name in (*loops, *engines)},
        "compiled_over": {name: round(rates["compiled"] / rates[name], 1) for name in slower},
        "batched_over_array_loop": round(rates["batched"] / rates["array_loop"], 1),
        "compiled_samples_per_second": {kind: rates[kind] for kind in others},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
