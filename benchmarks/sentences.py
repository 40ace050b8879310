"""Our Punkt against nltk's `span_tokenize`, and the rule for Chinese, on one core in one run.

Documents go through both in alternating stretches of about a million characters, so that a busy
machine slows both; all spans are compared. Prints one JSON line. Rates count UTF-8 bytes.
`python -m benchmarks.sentences --megabytes 10` stops after that much text.
"""

import argparse
import gzip
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.sentences import load_splitter
from pipeline.splitters.punkt_training import import_punkt

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STRETCH_CHARACTERS = 1_000_000

CHINESE_END = "[。！？]+[”’」』]*"  # noqa: RUF001 (Chinese marks are meant)
"""Marks that end a sentence of prose with the closing quotes behind them: the yardstick."""

Spans = list[tuple[int, int]]


def nltk_splitter(tables: dict[str, Any]) -> Any:
    punkt = import_punkt()
    parameters = punkt.PunktParameters()
    parameters.abbrev_types = set(tables["abbreviations"])
    parameters.collocations = {tuple(pair) for pair in tables["collocations"]}
    parameters.sent_starters = set(tables["sentence_starters"])
    parameters.ortho_context.update(tables["orthography"])
    return punkt.PunktSentenceTokenizer(parameters)


def texts_of(files: list[Path], megabytes: float) -> Iterator[str]:
    left = megabytes * 1e6
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                left -= len(text.encode())
                if left < 0:
                    return
                yield text


def blocks(texts: Iterator[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for text in texts:
        block.append(text)
        if sum(map(len, block)) >= STRETCH_CHARACTERS:
            yield block
            block = []
    if block:
        yield block


def timed(split: Callable[[str], Spans], texts: list[str]) -> tuple[list[Spans], float]:
    start = time.perf_counter()
    found = [split(text) for text in texts]
    return found, time.perf_counter() - start


def compare(texts: Iterator[str]) -> dict[str, Any]:
    splitter = load_splitter("english")
    reference = nltk_splitter(splitter.parameters)
    sides = [splitter.spans, lambda text: list(reference.span_tokenize(text))]
    seconds = [0.0, 0.0]
    documents = spans = differing = size = 0
    for number, block in enumerate(blocks(texts)):
        found: list[list[Spans]] = [[], []]
        for side in (0, 1) if number % 2 else (1, 0):
            found[side], taken = timed(sides[side], block)
            seconds[side] += taken
        differing += sum(a != b for a, b in zip(*found, strict=True))
        documents, spans = documents + len(block), spans + sum(map(len, found[1]))
        size += sum(len(text.encode()) for text in block)
    return {
        "megabytes": round(size / 1e6, 1),
        "nltk_mb_per_second": round(size / seconds[1] / 1e6, 2),
        "mb_per_second": round(size / seconds[0] / 1e6, 2),
        "ratio": round(seconds[1] / seconds[0], 2),
        "documents": documents,
        "spans": spans,
        "documents_with_other_spans": differing,
    }


def main(megabytes: float = float("inf")) -> None:
    os.environ.setdefault("NLTK_DATA", str(DATA / "nltk_data"))
    files = sorted((DATA / "corpus" / "english").glob("*.jsonl.gz"))
    if not files:
        print(json.dumps({"benchmark": "sentences", "skipped": f"no corpus below {DATA}"}))
        return
    result = compare(texts_of(files, megabytes))
    chinese = [*texts_of([DATA / "corpus" / "chinese.jsonl.gz"], megabytes)]
    spans, seconds = timed(load_splitter("chinese").spans, chinese)
    marks = [[match.end() for match in re.finditer(CHINESE_END, text)] for text in chinese]
    stops = [{stop for _, stop in found} for found in spans]
    ended = sum(mark in own for found, own in zip(marks, stops, strict=True) for mark in found)
    result["chinese_ends_found"] = f"{ended} of {sum(map(len, marks))}"
    size = sum(len(text.encode()) for text in chinese)
    result["chinese_mb_per_second"] = round(size / seconds / 1e6, 2)
    print(json.dumps({"benchmark": "sentences", **result}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=float("inf"))
    main(parser.parse_args().megabytes)
