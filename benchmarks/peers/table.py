"""The table of a race, in Markdown."""

from collections.abc import Sequence

from benchmarks.peers.race import OURS, YARDSTICK, Result

HEADINGS = (
    "loader",
    "version",
    "rows/s",
    "of the gather",
    "RowStream is x",
    "first batch, warm",
    "cold",
    "import",
    "resume",
    "same rows",
    "bytes a row",
    "shuffle",
    "distance",
)


def table(results: dict[str, Result]) -> str:
    """One line per loader; times in ms, the import in s; then how cold a cold start was."""
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS))]
    lines += [_line(cells(name, results)) for name in results]
    return "\n".join([*lines, "", _how_cold(list(results.values()))])


def _how_cold(results: Sequence[Result]) -> str:
    most = max((result.cold_pages for result in results if not result.problem), default=0.0)
    return (
        "Cold: a fresh process, whose files were dropped from the page cache with "
        f"POSIX_FADV_DONTNEED; mincore found at most {most:.1%} of their pages still there."
    )


def cells(name: str, results: dict[str, Result]) -> Sequence[str]:
    """What the table says of one loader; no start or order for the yardstick, which has none."""
    result, gather, ours = results[name], results[YARDSTICK], results[OURS]
    start = [result.loader.name, result.loader.installed_version or ""]
    if result.problem:
        return [*start, result.problem]
    speeds = [f"{result.rows_per_second:,.0f}"]
    speeds += [_ratio(result, gather), _ratio(ours, result)]
    if name == YARDSTICK:
        return [*start, *speeds]
    return [
        *start,
        *speeds,
        _milliseconds(result.first_seconds),
        _milliseconds(result.cold_seconds),
        f"{result.import_seconds:.2f}",
        _milliseconds(result.resume_seconds),
        "yes" if result.resumes_exactly else "NO",
        f"{result.bytes_per_row:,.0f}",
        result.loader.shuffle,
        "" if result.distance is None else f"{result.distance:.2f}",
    ]


def _ratio(one: Result, other: Result) -> str:
    if one is other or one.problem or other.problem:
        return ""
    ratio = one.ratio(other)
    return f"{ratio:.3f}" if ratio < 1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f}" if seconds < 0.1 else f"{1000 * seconds:,.0f}"


def _line(texts: Sequence[str]) -> str:
    filled = [*texts, *[""] * (len(HEADINGS) - len(texts))]
    return f"| {' | '.join(filled)} |"
