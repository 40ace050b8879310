"""Manifests with statistics as values, for the tests of what shows them."""

from typing import Any

from pipeline.laws.goodness_of_fit import compare
from pipeline.laws.lengths import LENGTH_BINS, UNIT, bin_probabilities
from pipeline.laws.statistics import COVERAGE_BINS
from schemas.manifest import FileHashes, Manifest, StoredFile
from schemas.samples import RowFormat

SPAN_LENGTHS = [2439, 3619, 3675, 2696, 1603, 878, 355, 141, 43, 18, 4]
DIGEST = "ab" * 32


def law_of(observed: list[float], expected: list[float], windows: int = 2843) -> dict[str, Any]:
    """One law as `pipeline/laws/gate.py` describes it, with its bins."""
    units = [[int(value * UNIT) for value in column] for column in (observed, expected)]
    found = {"windows": windows, "windows_apart": 24, **compare(*units)._asdict()}
    return found | {"observed": observed, "expected": expected}


def blank_laws() -> dict[str, Any]:
    chances = bin_probabilities("poisson", 3.0, 39) / UNIT
    expected = [round(float(chance), 6) * sum(SPAN_LENGTHS) for chance in chances[:39]]
    return {
        "span_lengths": law_of([float(count) for count in SPAN_LENGTHS], expected),
        "places": law_of([950.0 + place for place in range(16)], [957.5] * 16),
        "single_spans": law_of([142.0, 2701.0], [150.0, 2693.0]),
    }


def objective(kind: str, share: float, laws: dict[str, Any] | None, **changes: Any) -> Any:
    """One objective of one split; its histograms are those of `SPAN_LENGTHS`."""
    coverage = [0] * COVERAGE_BINS
    coverage[2], coverage[3] = 851, 1992
    histograms = {
        "span_lengths": SPAN_LENGTHS,
        "spans_per_window": [5, 44, 203, 523],
        "coverage": coverage,
        "short_coverage": [0] * COVERAGE_BINS,
    }
    numbers = {
        "samples": 2867,
        "spans": sum(SPAN_LENGTHS),
        "window_tokens": 306_228,
        "part_a_tokens": 272_639,
        "part_b_tokens": 64_599,
        "mask_tokens": 15_505,
        "label_tokens": 64_599,
        "masked_tokens": 49_094,
        "masked_ratio": 0.160318,
        "mean_span_tokens": 3.166333,
    }
    shares = {"share_asked": share, "share": share + 0.001, "deviation": 0.001}
    shares |= {"share_of_samples": share + 0.001, "share_of_tokens": share + 0.002}
    described = {"kind": kind, "windows": 2843, "short_windows": 24, "histograms": histograms}
    return {**numbers, **shares, **described, "laws": laws, **changes}


def objectives() -> dict[str, Any]:
    """One of each sort: with every law, with a rule only, with nothing declared."""
    wide = {"span_lengths": [0] * (len(LENGTH_BINS) - 8) + [7] * 8}
    chat = objective("instruction", 0.1, {}, share_asked=None, deviation=None)
    chat["histograms"] = chat["histograms"] | wide
    return {
        "blank": objective("blank", 0.7, blank_laws()),
        "chat": chat,
        "own": objective("a_kind_of_another_release", 0.2, None),
    }


COUNTS = {
    "bad.not_utf8": 3,
    "documents": 406,
    "documents.dropped.empty_text": 2,
    "documents.identical": 4,
    "documents.tokens": 606_144,
    "documents.tokens.unknown": 17,
    "heldout.document_tokens": 8202,
    "heldout.documents": 6,
    "train.document_tokens": 597_942,
    "train.documents": 400,
    "train.windows.dropped.too_short": 12,
}


def manifest_of(**changes: Any) -> Manifest:
    """A data set with both splits; `changes` are fields of the manifest."""
    names = ("pad", "cls", "eos", "mask", "gmask", "smask", "start", "end", "noise")
    special = {name: number for number, name in enumerate(names) if name}
    special |= {"first_sentinel": 2000, "num_sentinels": 0}
    tokenizer = {"kind": "sentencepiece", "layout": "own", "model_sha256": "cd" * 32}
    found = {"samples": 5731, "fill": 0.953687, "windows_dropped": {}, "mix_by": "samples"}
    fields: dict[str, Any] = {
        "version": 1,
        "recipe_digest": "12" * 32,
        "plan_digest": "34" * 32,
        "content_digest": DIGEST,
        "rows": {"train": 2400, "heldout": 2300},
        "row_format": RowFormat(448, 8, "uint16", ("blank", "chat", "own")),
        "shard_format": "arrow",
        "tokenizer": {**tokenizer, "vocab_size": 2000, "special": special},
        "table": StoredFile("shards.arrow", FileHashes(8, "ef" * 32, (0, 8), (1,))),
        "table_blocks": (),
        "counts": COUNTS,
        "statistics": {
            split: {"rows": rows, "objectives": objectives(), **found}
            for split, rows in (("train", 2400), ("heldout", 2300))
        },
    }
    return Manifest(**fields | changes)
