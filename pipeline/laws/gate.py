"""Counts and statistics of all items -> the manifest's statistics, with what the gate found.

Stands between the records and `finish.py`. docs/statistics.md says what each key means.
"""

from collections.abc import Sequence
from typing import Any

from pipeline.laws.goodness_of_fit import MAX_LOG10_P, MIN_TOTAL_VARIATION, Comparison, compare
from pipeline.laws.lengths import UNIT
from pipeline.mixing import INSTRUCTION
from pipeline.objectives import OBJECTIVES
from schemas.build_config import BuildConfig
from schemas.errors import DatasetError
from schemas.manifest import SPLITS
from schemas.record import Counts, ObjectiveStatistics, Statistics, TallySums

_SHOWN_BINS = 12


def check_laws(dataset: str, statistics: Statistics, config: BuildConfig) -> None:
    """Raise `DatasetError` naming the first objective that does not follow its law."""
    for split, objectives in statistics.items():
        for name, found in objectives.items():
            for law, sums in found.tallies.items():
                comparison = compare(sums.observed, sums.expected)
                if comparison.is_refused:
                    place = f"{dataset}: {split} objective {name!r} ({config.objective[name].kind})"
                    raise DatasetError(_refusal(place, law, sums, comparison))


def _refusal(place: str, law: str, sums: TallySums, found: Comparison) -> str:
    pairs = list(zip(sums.observed, sums.expected, strict=True))[:_SHOWN_BINS]
    shown = ", ".join(f"{o / UNIT:,.0f} ({e / UNIT:,.1f})" for o, e in pairs)
    more = ", ..." if len(sums.observed) > _SHOWN_BINS else ""
    return (
        f"{place} does not follow its law of {law.replace('_', ' ')}: p = 1e{found.log10_p:.0f} "
        f"(limit 1e{MAX_LOG10_P:.0f}) and total variation {found.total_variation:.4f} (limit "
        f"{MIN_TOTAL_VARIATION}) over {sums.windows:,} windows; observed (expected) by bin: "
        f"{shown}{more}. The sampler does not draw what pipeline/objectives.py declares for it: "
        "mend the sampler or the law, delete the folder and build again (docs/statistics.md)"
    )


def manifest_statistics(
    counts: Counts, statistics: Statistics, config: BuildConfig, rows: dict[str, int]
) -> dict[str, Any]:
    """Per split with rows: samples, how full rows are, windows dropped, objectives."""
    found: dict[str, Any] = {}
    for split in (split for split in SPLITS if rows[split]):
        own = {
            name.removeprefix(f"{split}."): count
            for name, count in counts.items()
            if name.startswith(f"{split}.")
        }
        dropped = "windows.dropped."
        names = [name for name in sorted(config.objective) if own.get(f"{name}.samples")]
        tokens = sum(own[f"{n}.part_a_tokens"] + own[f"{n}.part_b_tokens"] for n in names)
        shares, laws = _shares(names, own, config), statistics[split]
        found[split] = {
            "rows": rows[split],
            "samples": sum(own[f"{name}.samples"] for name in names),
            "fill": round(tokens / (rows[split] * config.row_tokens), 6),
            "windows_dropped": {
                name.removeprefix(dropped): count
                for name, count in own.items()
                if name.startswith(dropped)
            },
            "mix_by": config.mix_by,
            "objectives": {
                name: shares[name]
                | _sums(name, own)
                | _described(config.objective[name].kind, laws[name])
                for name in names
            },
        }
    return found


def _shares(
    names: Sequence[str], own: Counts, config: BuildConfig
) -> dict[str, dict[str, float | None]]:
    """Asked and found shares of the mixed objectives; of all, and nothing asked, for prompted data.

    `share` is by samples or by tokens, as `mix_by` says; `deviation` is found minus asked.
    """
    every = set(config.objective)
    mixed = {name for name in every if config.objective[name].kind != INSTRUCTION}
    shares = {}
    for name in names:
        is_mixed = name in mixed
        group = mixed if is_mixed else every
        asked = config.objective[name].share / sum(config.objective[one].share for one in group)
        by_samples, by_tokens = (
            own[f"{name}.{what}"] / sum(own.get(f"{one}.{what}", 0) for one in group)
            for what in ("samples", "window_tokens")
        )
        share = by_samples if config.mix_by == "samples" else by_tokens
        shares[name] = {
            "share_asked": round(asked, 6) if is_mixed else None,
            "share": round(share, 6),
            "deviation": round(share - asked, 6) + 0.0 if is_mixed else None,
            "share_of_samples": round(by_samples, 6),
            "share_of_tokens": round(by_tokens, 6),
        }
    return shares


def _sums(name: str, own: Counts) -> dict[str, Any]:
    names = ("samples", "spans", "window_tokens", "part_a_tokens", "part_b_tokens")
    sums = {what: own[f"{name}.{what}"] for what in (*names, "mask_tokens", "label_tokens")}
    masked = own[f"{name}.masked_tokens"]
    return sums | {
        "masked_tokens": masked,
        "masked_ratio": round(masked / sums["window_tokens"], 6),
        "mean_span_tokens": round(masked / sums["spans"], 6),
    }


def _described(kind: str, found: ObjectiveStatistics) -> dict[str, Any]:
    """Histograms, and what the gate found: `laws` is null where no law is declared."""
    windows = {
        "kind": kind,
        "windows": found.lawful.windows,
        "short_windows": found.short.windows,
    }
    histograms = {
        "span_lengths": found.lawful.span_lengths,
        "spans_per_window": found.lawful.spans_per_window,
        "coverage": found.lawful.coverage,
        "short_coverage": found.short.coverage,
    }
    every = found.lawful.windows + found.short.windows
    laws = {name: _law_found(sums, every) for name, sums in found.tallies.items()}
    has_law = OBJECTIVES[kind].law is not None
    return windows | {"histograms": histograms, "laws": laws if has_law else None}


def _law_found(sums: TallySums, every: int) -> dict[str, Any]:
    checked = {"windows": sums.windows, "windows_apart": every - sums.windows}
    bins = {"observed": sums.observed, "expected": sums.expected}
    shown = {name: [round(units / UNIT, 3) for units in column] for name, column in bins.items()}
    return checked | compare(sums.observed, sums.expected)._asdict() | shown
