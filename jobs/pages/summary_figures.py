"""The statistics of one objective as figures: a chart, what it says in a line, and its numbers.

Between `summary_page.py` and `statistics_charts.py`. docs/statistics.md says what is counted.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from jobs.pages.manifest_facts import percent, words
from jobs.pages.page_parts import figure, table
from jobs.pages.statistics_charts import Axis, Bin, even_ticks, histogram
from jobs.pages.svg_parts import Caption
from pipeline.laws.laws import SHORT_SPANS
from pipeline.laws.lengths import LENGTH_BINS
from pipeline.laws.statistics import COVERAGE_BINS
from pipeline.objectives import OBJECTIVES

_EDGES = [*LENGTH_BINS.tolist(), 2 * int(LENGTH_BINS[-1])]
_COVERAGE_TICKS = tuple((part * COVERAGE_BINS / 4, f"{25 * part} %") for part in range(5))
_LEAST_BINS, _MOST_BARS = 8, 70


def objective_figures(place: str, found: dict[str, Any]) -> Iterator[str]:
    """Every figure of one objective; `place` makes the ids of its charts unique.

    Where the manifest has the law's numbers they are drawn over what was found.
    """
    histograms = found["histograms"]
    laws = {name: law for name, law in (found["laws"] or {}).items() if law.get("observed")}
    by_length = _is_by_length(found) and "span_lengths" in laws
    lengths = laws.pop("span_lengths") if by_length else None
    yield _lengths(f"{place}-lengths", histograms["span_lengths"], lengths)
    yield _coverage(f"{place}-coverage", histograms["coverage"])
    yield _counts(f"{place}-spans", histograms["spans_per_window"])
    for name, law in laws.items():
        yield _parts(f"{place}-{name}", name, law)


def _is_by_length(found: dict[str, Any]) -> bool:
    """The law of span lengths is one of tokens, not one of parts of a window's own range."""
    line = OBJECTIVES.get(found.get("kind", ""))
    return line is not None and line.law is SHORT_SPANS


def _lengths(number: str, counts: Sequence[float], law: dict[str, Any] | None) -> str:
    """Where there is a law, the spans of the windows in which it holds without condition."""
    observed = counts if law is None else law["observed"]
    bins = _length_bins(observed, None if law is None else law["expected"])
    wide = ", each as high as its share by token" if bins[-1].stop - bins[-1].start > 1 else ""
    about = f"{_most(bins)}. Bars: found{wide}" + (
        "" if law is None else "; line: the declared law"
    )
    if law is not None and law["windows_apart"]:
        about += f"; {law['windows_apart']:,} windows in which it is no plain law are left out"
    return _figure(Caption(number, "Span lengths", about), bins, "tokens")


def _counts(number: str, counts: Sequence[float]) -> str:
    bins = _length_bins(counts, None)
    return _figure(Caption(number, "Spans per window", _most(bins)), bins, "spans")


def _coverage(number: str, counts: Sequence[float]) -> str:
    labels = [f"{100 * one // COVERAGE_BINS} %" for one in range(COVERAGE_BINS + 1)]
    total = sum(counts) or 1
    bins = [
        Bin(index, index + 1, count, count / total, " to ".join(pair))
        for index, (count, pair) in enumerate(zip(counts, pairwise(labels), strict=False))
    ]
    caption = Caption(number, "Hidden part of the window", _most(bins))
    return _figure(caption, bins, "hidden tokens over all", _COVERAGE_TICKS)


def _parts(number: str, name: str, law: dict[str, Any]) -> str:
    """A law over equal parts of each window's own range, or over two cases."""
    observed, expected = _even(law["observed"], law["expected"])
    is_single = name == "single_spans"
    labels = ["one span", "several"] if is_single else _part_labels(len(observed))
    total, declared = sum(observed) or 1, sum(expected) or 1
    rows = zip(observed, expected, labels, strict=False)
    bins = [
        Bin(index, index + 1, one, one / total, label, law_one / declared)
        for index, (one, law_one, label) in enumerate(rows)
    ]
    axis = "windows with" if is_single else f"part of the window's range, in {len(bins)} parts"
    middle = tuple((one.start + 0.5, one.label) for one in bins) if is_single else ()
    ends = ((bins[0].start, "first"), (bins[-1].stop, "last"))
    about = "Bars: found; line: the declared law"
    caption = Caption(number, words(name).capitalize(), about)
    return _figure(caption, bins, axis, middle or ends)


def _part_labels(count: int) -> list[str]:
    return [f"part {index + 1} of {count}" for index in range(count)]


def _length_bins(counts: Sequence[float], law: Sequence[float] | None) -> list[Bin]:
    """Bars as wide as the values in them, narrow ones put together where the axis is long."""
    counts, expected = _even(counts, law or ())
    total, declared = sum(counts) or 1, sum(expected) or 1
    bins = []
    for start, stop in _groups(max(_LEAST_BINS, len(counts))):
        first, end = _EDGES[start], _EDGES[stop]
        label = f"{first:,}" if end - first == 1 else f"{first:,} to {end - 1:,}"
        count, law_count = sum(counts[start:stop]), sum(expected[start:stop])
        law_share = None if law is None else law_count / declared
        bins.append(Bin(first - 0.5, end - 0.5, count, count / total, label, law_share))
    return bins


def _groups(size: int) -> Iterator[tuple[int, int]]:
    """The first `size` bins of lengths as half-open ranges, each wide enough to be seen."""
    least, start = (_EDGES[size] - 1) / _MOST_BARS, 0
    for stop in range(1, size + 1):
        if _EDGES[stop] - _EDGES[start] >= least or stop == size:
            yield start, stop
            start = stop


def _even(*columns: Sequence[float]) -> list[list[float]]:
    """The columns in equal length, at least one, without the ends where all are zero."""
    size = max(1, *map(len, columns))
    filled = [[*column, *[0] * (size - len(column))] for column in columns]
    while size > 1 and not any(column[size - 1] for column in filled):
        size -= 1
    return [column[:size] for column in filled]


def _most(bins: Sequence[Bin]) -> str:
    best = max(bins, key=lambda one: one.share)
    if not best.share:
        return "Nothing was counted"
    return f"Most are {best.label}: {percent(best.share)}"


def _figure(
    caption: Caption, bins: Sequence[Bin], unit: str, ticks: tuple[tuple[float, str], ...] = ()
) -> str:
    ticks = ticks or even_ticks(max(1.0, bins[0].start), bins[-1].stop)
    chart = histogram(caption, bins, Axis(unit, ticks))
    return figure(caption, chart, _table(bins, unit))


def _table(bins: Sequence[Bin], unit: str) -> str:
    has_law = any(one.law is not None for one in bins)
    heads = (unit, "count", "share", *(["law"] if has_law else []))
    rows = [
        (one.label, f"{one.found:,.0f}", *(percent(share, 2) for share in (one.share, one.law)))
        for one in bins
        if one.found or one.law
    ]
    return table(heads, [row[: len(heads)] for row in rows])
