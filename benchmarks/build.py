"""Text to rows, end to end on one core, against raw SentencePiece over the same sentences.

`build_work_item` reads JSONL, checks it, splits, tokenizes, cuts, corrupts, packs, and writes
verified shards under glm-base; the yardstick is one flat `Encode` call with one thread over batches
of the same sentences. Interleaved rounds; prints one JSON line with each stage's share.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sentencepiece

from benchmarks.corpus import texts, write_jsonl
from jobs.build import BuildRequest, build_dataset
from jobs.options import find_preset
from pipeline.build import BuildContext, build_work_item
from pipeline.plan_tables import PlanReader
from pipeline.sentences import load_splitter
from pipeline.stores.local import LocalStore
from pipeline.text import BATCH_CHARACTERS
from pipeline.tokens import open_tokenizer
from pipeline.vocabularies.tokenizer import cut_units
from schemas.config import load_config
from schemas.names import TOKENIZER_FOLDER
from schemas.plan import Plan
from tests.corpus import NoProgress

MEGABYTES, ROUNDS = 16.0, 5


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def batches(units: list[str]) -> list[list[str]]:
    """`units` in batches of about as many characters as the build holds."""
    grouped: list[list[str]] = [[]]
    held = 0
    for unit in units:
        grouped[-1].append(unit)
        held += len(unit)
        if held >= BATCH_CHARACTERS:
            grouped.append([])
            held = 0
    return grouped


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    config = load_config(find_preset("glm-base")).build
    tokenizer = replace(config.tokenizer, vocab_size=32000, sample_characters=3_000_000)
    config = replace(config, tokenizer=tokenizer, heldout_ratio=0.0)
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name), Path(name) / "d"
        megabytes = write_jsonl(folder / "text.jsonl", MEGABYTES)
        request = BuildRequest(config, [folder / "text.jsonl"], output, "serial", 1)
        manifest = build_dataset(request, NoProgress())
        plan = Plan.from_json((output / "plan.json").read_text(), "plan.json")
        with PlanReader(LocalStore(output), plan) as reader:
            items = list(reader.items())
        sources: dict[str, str | Path] = {"text.jsonl": folder / "text.jsonl"}
        context = BuildContext(str(output), sources, plan.recipe)
        splitter = load_splitter(output / "splitter.json")
        opened = open_tokenizer(output / TOKENIZER_FOLDER)
        documents = list(texts(MEGABYTES))
        units = [unit for text in documents for unit in cut_units(text, splitter.spans(text), " ")]
        raw = sentencepiece.SentencePieceProcessor()
        raw.LoadFromSerializedProto(opened.files["tokenizer.model"])
        grouped, stripped = batches(units), batches([unit.strip() for unit in units])
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for stage, work in {
                "build": lambda: [build_work_item(context, item) for item in items],
                "raw": lambda: [raw.Encode(part, out_type=int, num_threads=1) for part in stripped],
                "splitting": lambda: [splitter.spans(text) for text in documents],
                "tokenizing": lambda: [opened.encode(part) for part in grouped],
            }.items():
                times.setdefault(stage, []).append(seconds(work))
    ratios = [raw / build for raw, build in zip(times["raw"], times["build"], strict=True)]
    whole = statistics.median(times["build"])
    result = {
        "benchmark": "build",
        "megabytes": round(megabytes, 1),
        "text_to_rows_megabytes_per_second": round(megabytes / whole, 2),
        "sentencepiece_megabytes_per_second": round(megabytes / statistics.median(times["raw"]), 2),
        "ratio": round(statistics.median(ratios), 3),
        "splitting_share": round(statistics.median(times["splitting"]) / whole, 2),
        "tokenizing_share": round(statistics.median(times["tokenizing"]) / whole, 2),
        "fill": manifest.statistics["train"]["fill"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
