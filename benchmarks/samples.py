"""Sampler and assembly: a plain loop over samples against the three engines, into the same rows.

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

from benchmarks.plain_loop import FORMAT, SPECIAL, TEXT_TOKENS, VOCAB_SIZE, PlainLoop, check
from pipeline.assemble import Rules
from pipeline.engines import choose_engine
from pipeline.objectives import OBJECTIVES
from pipeline.packing import empty_rows
from pipeline.window_batch import Engine, Placement, Rows, WindowBatch
from schemas.build_config import ObjectiveConfig

SENTENCE_TOKENS, ROUNDS = 30, 7
SIZES = {"loop": 300, "plain": 100, "batched": 2048, "compiled": 4096}
"""Windows of one round: a fraction of a second each."""

Work = Callable[[WindowBatch, Rows], None]


def windows_of_text(count: int) -> WindowBatch:
    random, zeros = np.random.default_rng(0), np.zeros(count, np.int64)
    ends = np.append(np.arange(SENTENCE_TOKENS, TEXT_TOKENS, SENTENCE_TOKENS), TEXT_TOKENS)
    offsets = np.arange(count) * TEXT_TOKENS
    return WindowBatch(
        tokens=random.integers(9, VOCAB_SIZE - 200, count * TEXT_TOKENS, dtype=np.int32),
        sentence_ends=(offsets[:, None] + ends).ravel(),
        offsets=offsets,
        lengths=zeros + TEXT_TOKENS,
        prompts=zeros,
        first_ends=np.arange(count) * len(ends),
        stop_ends=np.arange(1, count + 1) * len(ends),
        keys=random.integers(0, 2**64, count, dtype=np.uint64),
        numbers=zeros,
        starts=zeros,
        documents=zeros,
        objectives=zeros,
        cls=True,
        eos=True,
    )


def draw_and_write(engine: Engine, kind: str, windows: WindowBatch, rows: Rows) -> None:
    config = ObjectiveConfig(kind=kind, replace_ratio=0.8, random_ratio=0.1)
    rules = [Rules(config, SPECIAL, VOCAB_SIZE, TEXT_TOKENS + 2)]
    zeros = np.zeros(len(windows), np.int64)
    placement = Placement(np.arange(len(windows)), zeros, zeros)
    engine.write(windows, engine.draw(windows, rules, True), rules, placement, rows)


def samples_per_second(work: Work, count: int) -> float:
    windows, rows = windows_of_text(count), Rows(empty_rows(count, FORMAT, SPECIAL.pad), FORMAT)
    start = time.perf_counter()
    work(windows, rows)
    return count / (time.perf_counter() - start)


def medians(runs: dict[str, Work]) -> dict[str, int]:
    found: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(ROUNDS + 1):
        for name, work in runs.items():
            rate = samples_per_second(work, SIZES.get(name, SIZES["compiled"]))
            if round_number:  # the first round compiles, or loads what was compiled
                found[name].append(rate)
    return {name: round(statistics.median(rates)) for name, rates in found.items()}


def main() -> None:
    loop = PlainLoop()
    windows, rows = windows_of_text(50), Rows(empty_rows(50, FORMAT, SPECIAL.pad), FORMAT)
    loop.write(windows, rows)
    check(windows, rows)
    engines = {name: choose_engine(name) for name in ("plain", "batched", "compiled")}
    runs: dict[str, Work] = {"loop": loop.write}
    for name, engine in engines.items():
        runs[name] = partial(draw_and_write, engine, "blank")
    others = [kind for kind in OBJECTIVES if kind != "blank"]
    for kind in others:
        runs[kind] = partial(draw_and_write, engines["compiled"], kind)
    rates = medians(runs)
    result = {
        "benchmark": "samples",
        "samples_per_second": {name: rates[name] for name in ("loop", *engines)},
        "compiled_over_loop": round(rates["compiled"] / rates["loop"], 1),
        "batched_over_loop": round(rates["batched"] / rates["loop"], 1),
        "compiled_samples_per_second": {kind: rates[kind] for kind in others},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
