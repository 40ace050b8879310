"""What a dry run found, and how it is told to a person.

Made by `dry_run.py`. Numbers that a sample stands for are rounded and called "about".
"""

from dataclasses import dataclass

from rich.filesize import decimal

from jobs.progress.build_lines import duration
from schemas.manifest import HELDOUT, TRAIN

_DIGITS = 3
_HOUR_SECONDS = 3600


@dataclass(frozen=True)
class Growth:
    """What becomes of the data set: `kind` is `new`, `continued`, `grown` or `finished`.

    `passes` and `slices` are (there, planned). `is_left` says that a growth begun before stays
    undone because its inputs were not given again.
    """

    kind: str
    version: int
    passes: tuple[int, int]
    slices: tuple[int, int]
    is_left: bool = False


@dataclass(frozen=True)
class Forecast:
    """What the items to build will come to, from the sample.

    `tokens` are those of the text, each pass counted; `disk_bytes` those of shards, records,
    documents and quarantine; `seconds` with the workers that would run, `worker_seconds` of them
    all together. Exact (but for the times) when every item was sampled.
    """

    rows: dict[str, int]
    tokens: int
    disk_bytes: int
    worker_seconds: float
    seconds: float
    sampled_items: int
    sampled_bytes: int
    sampled_documents: int
    sampled_bad: int
    is_exact: bool


@dataclass(frozen=True)
class Estimate:
    """What a build would do; bytes are of input as stored, each pass counted.

    `pending` items have no record. `planning_seconds` were spent on reading and hashing the inputs
    and on splitter and tokenizer, which the build spends again; `forecast` is without them, and
    None when nothing is to be built or no item of the sample could be.
    """

    place: str
    growth: Growth
    inputs: int
    items: int
    source_bytes: int
    pending_items: int
    pending_bytes: int
    forecast: Forecast | None
    executor: str
    workers: int
    max_bad_ratio: float
    planning_seconds: float
    free_bytes: int | None
    notes: tuple[str, ...] = ()


def render_estimate(estimate: Estimate) -> str:
    """Lines for people."""
    one = estimate
    lines = [
        f"{one.place}: {_described(one)}; nothing was written there",
        f"  plan: {one.items:,} items, {_counted(one.growth.passes[1], 'pass', 'passes')} over "
        f"{_counted(one.inputs, 'input', 'inputs')}, {decimal(one.source_bytes)} to read in all",
        f"  built: {one.items - one.pending_items:,} items have a record; to build: "
        f"{one.pending_items:,} items, {decimal(one.pending_bytes)}",
    ]
    if one.growth.is_left:
        lines.append("  left undone: the growth begun before, whose inputs were not given again")
    if one.forecast:
        lines += _forecast_lines(one, one.forecast)
    elif one.pending_items:
        lines.append("  rows, bytes and time: not known, for no item of the sample could be built")
    return "\n".join([*lines, *(f"  note: {text}" for text in one.notes)])


def _described(estimate: Estimate) -> str:
    growth = estimate.growth
    if growth.kind == "new":
        return "a new data set would be begun"
    if growth.kind == "finished":
        return f"version {growth.version} is finished, and no item is to be built"
    if growth.kind == "continued":
        return f"version {growth.version} would be continued"
    added = growth.slices[1] - growth.slices[0]
    parts = [f"{_counted(added, 'slice', 'slices')} of new input"] if added else []
    if growth.passes[1] > growth.passes[0]:
        parts.append(f"passes {growth.passes[0]} -> {growth.passes[1]}")
    return f"would grow to version {growth.version} ({', '.join(parts)})"


def _forecast_lines(estimate: Estimate, found: Forecast) -> list[str]:
    about = "" if found.is_exact else "about "
    rows, size, tokens = found.rows, found.disk_bytes, found.tokens
    free = "" if estimate.free_bytes is None else f"; {decimal(estimate.free_bytes)} are free there"
    if not found.is_exact:
        rows, size = {split: _rounded(count) for split, count in rows.items()}, _rounded(size)
        tokens = _rounded(tokens)
    per_hour = _HOUR_SECONDS / found.worker_seconds
    hourly_bytes = _rounded(estimate.pending_bytes * per_hour)
    hourly_rows = _rounded(sum(found.rows.values()) * per_hour)
    lines = [
        f"  rows: {about}{rows[TRAIN]:,} training, {about}{rows[HELDOUT]:,} held-out; tokens of "
        f"text: {about}{tokens:,}",
        f"  on disk: {about}{decimal(size)} of shards, documents and records, "
        f"{found.disk_bytes / max(1, found.tokens):.1f} bytes a token{free}",
        f"  time: about {duration(found.seconds)} with --executor {estimate.executor} and "
        f"{_counted(estimate.workers, 'worker', 'workers')}, about "
        f"{duration(found.worker_seconds)} of one worker",
        f"  per worker-hour: about {decimal(hourly_bytes)} of input, {hourly_rows:,} rows",
        f"  not in the time: reading and hashing the inputs, splitter and tokenizer, which took "
        f"{duration(estimate.planning_seconds)} here; starting workers; the manifest",
        _sample_line(estimate, found),
    ]
    return lines + _warnings(estimate, found)


def _sample_line(estimate: Estimate, found: Forecast) -> str:
    if found.is_exact:
        return "  sampled: every item to build; rows and bytes are exact"
    part = found.sampled_bytes / estimate.pending_bytes
    items = _counted(found.sampled_items, "item", "items")
    return (
        f"  sampled: {items}, {decimal(found.sampled_bytes)}, {part:.2%} of what is to be built; "
        "the rest is taken to be like them"
    )


def _warnings(estimate: Estimate, found: Forecast) -> list[str]:
    lines = []
    total = found.sampled_documents + found.sampled_bad
    if found.sampled_bad:
        over = found.sampled_bad > estimate.max_bad_ratio * total
        end = "; if all are so, the build ends with an error" if over else ""
        lines.append(
            f"  bad input: {found.sampled_bad:,} of {total:,} documents of the sample cannot be "
            f"used, build.max_bad_ratio is {estimate.max_bad_ratio:.2%}{end}"
        )
    if estimate.free_bytes is not None and found.disk_bytes > estimate.free_bytes:
        lines.append("  the disk is too small; give another --output, or a compressed shard_format")
    return lines


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _rounded(number: float) -> int:
    """To `_DIGITS` significant digits."""
    return int(float(f"{number:.{_DIGITS}g}"))
