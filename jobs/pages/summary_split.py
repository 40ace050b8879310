"""One split of a data set on the summary page: what fills its rows, and each of its objectives."""

from collections.abc import Sequence
from html import escape
from typing import Any

from jobs.pages.manifest_facts import SplitFacts, percent, probability, verdict, words
from jobs.pages.page_parts import facts_list, figure, table
from jobs.pages.share_charts import ShareBar, share_bars, stacked_bar
from jobs.pages.summary_figures import objective_figures
from jobs.pages.svg_parts import Caption
from schemas.manifest import Manifest

_LAW_HEADS = (
    "law",
    "windows",
    "apart",
    "observations",
    "chi-square",
    "degrees of freedom",
    "p",
    "off by",
    "verdict",
)


def split_section(facts: SplitFacts, manifest: Manifest) -> str:
    """Shares, fill and every objective of one split; nothing where it has no statistics."""
    objectives = facts.found.get("objectives", {})
    if not objectives:
        return ""
    first = _shares(facts, objectives) + _fill(facts, objectives, manifest)
    parts = "".join(_objective(facts.name, name, found) for name, found in objectives.items())
    return (
        f'<section><h2>{escape(facts.name)}</h2><div class="charts">{first}</div>{parts}</section>'
    )


def _shares(facts: SplitFacts, objectives: dict[str, Any]) -> str:
    bars = [ShareBar(name, one["share"], one["share_asked"]) for name, one in objectives.items()]
    by = facts.found["mix_by"]
    about = f"Bars: found, by {by}; mark: asked for"
    caption = Caption(f"{facts.name}-shares", "Shares of the objectives", about)
    rows = [
        (
            name,
            percent(one["share_asked"], 2),
            percent(one["share"], 2),
            percent(one["share_of_samples"], 2),
            percent(one["share_of_tokens"], 2),
        )
        for name, one in objectives.items()
    ]
    heads = ("objective", "asked", "found", "of samples", "of tokens")
    return figure(caption, share_bars(caption, bars), table(heads, rows))


def _fill(facts: SplitFacts, objectives: dict[str, Any], manifest: Manifest) -> str:
    every = facts.rows * manifest.row_format.row_tokens
    parts = {
        name: sum(one[f"{key}_tokens"] for one in objectives.values())
        for name, key in (("part A", "part_a"), ("part B", "part_b"))
    }
    parts["padding"] = max(0, every - sum(parts.values()))
    used = facts.found["samples"] / max(1, facts.rows)
    about = f"{used:.2f} samples to a row on average"
    caption = Caption(f"{facts.name}-fill", "What fills the rows", about)
    shares = [(name, tokens / max(1, every)) for name, tokens in parts.items()]
    rows = [
        (name, f"{tokens:,}", percent(tokens / max(1, every), 2)) for name, tokens in parts.items()
    ]
    chart = stacked_bar(caption, shares)
    return figure(caption, chart, table(("tokens", "count", "share"), rows))


def _objective(split: str, name: str, found: dict[str, Any]) -> str:
    figures = "".join(objective_figures(f"{split}-{name}", found))
    facts = facts_list(
        (
            ("samples", f"{found['samples']:,}"),
            ("windows", f"{found['windows']:,} and {found['short_windows']:,} short ones"),
            ("hidden", f"{percent(found['masked_ratio'])} of {found['window_tokens']:,} tokens"),
            ("spans", f"{found['spans']:,} of {found['mean_span_tokens']:.2f} tokens on average"),
            ("labels", f"{found['label_tokens']:,}"),
        )
    )
    return (
        f'<h3>{escape(name)}</h3>{facts}{_laws(found["laws"])}<div class="charts">{figures}</div>'
    )


def _laws(laws: dict[str, Any] | None) -> str:
    if laws is None:
        return "<p>No law is declared for it: nothing was checked but the windows' rules.</p>"
    if not laws:
        return "<p>Its rule was kept in every window; nothing is drawn that a law could tell.</p>"
    rows: list[Sequence[str]] = [
        (
            words(name),
            f"{law['windows']:,}",
            f"{law['windows_apart']:,}",
            f"{law['observations']:,.0f}",
            f"{law['chi_square']:,.1f}",
            f"{law['degrees_of_freedom']}",
            probability(law["log10_p"]),
            percent(law["total_variation"], 2),
            verdict(law),
        )
        for name, law in laws.items()
    ]
    return table(_LAW_HEADS, rows)
