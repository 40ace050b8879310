"""The card of a finished data set: `README.md` in its folder, as hubs of data sets show it.

Written at the end of a build from the manifest, the plan and the card section of the configuration,
so that equal data sets with equal words have equal cards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.pages import markdown_text as markdown
from jobs.pages.card_head import head
from jobs.pages.card_recipe import recipe
from jobs.pages.card_snippets import LIMITS, reading, rebuilding
from jobs.pages.manifest_facts import (
    SPLIT_HEADS,
    as_read,
    left_out,
    percent,
    probability,
    split_lines,
    splits,
    verdict,
    words,
)
from schemas.card_config import CardInfo
from schemas.manifest import Manifest

SHOWN_INPUTS = 20


@dataclass(frozen=True)
class Sources:
    """What the plan says: the first `SHOWN_INPUTS` names of `count` inputs of `bytes` bytes as
    stored, all `passes` over them, and the recipe."""

    names: Sequence[str]
    count: int
    bytes: int
    passes: int
    recipe: dict[str, Any] = field(default_factory=dict)


def render_card(title: str, manifest: Manifest, sources: Sources, info: CardInfo) -> str:
    """The card in Markdown with a YAML head; `title` is the name where `info` has none.

    Everything anybody typed is shown as it was typed and acts neither in Markdown nor in YAML.
    """
    manifest = as_read(manifest)
    name = " ".join((info.title.strip() or title).split())
    parts = [
        head(name, manifest, info),
        f"# {markdown.plain(name)}",
        _introduction(manifest, info),
        f"## Sources and licence\n\n{_origin(sources, info)}",
        f"## What it holds\n\n{_contents(manifest)}",
        f"## Objectives\n\n{_objectives(manifest)}",
        f"## Recipe\n\n{recipe(manifest, sources.recipe)}",
        f"## Building it again\n\n{rebuilding(manifest)}",
        f"## Reading it\n\n{reading(manifest)}",
        f"## Limits\n\n{LIMITS}",
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(manifest: Manifest, info: CardInfo) -> str:
    form = manifest.row_format
    rows = ", ".join(f"{count:,} {split}" for split, count in manifest.rows.items())
    what = (
        f"Rows of {form.row_tokens:,} tokens for pretraining with blank infilling (GLM) and other "
        f"span corruption, ready for the model: tokens, labels, both positions and the boundaries "
        f"of the attention mask ({rows}). Made by blankstream; `summary.html` has the statistics."
    )
    told = markdown.paragraphs(info.description)
    return f"{told or 'Description: not stated.'}\n\n{what}"


def _origin(sources: Sources, info: CardInfo) -> str:
    shown = "\n".join(f"- {markdown.code(name)}" for name in sources.names[:SHOWN_INPUTS])
    more = sources.count - min(len(sources.names), SHOWN_INPUTS)
    rest = f"\n- and {more:,} more" if more > 0 else ""
    return (
        f"Sources: {markdown.paragraphs(info.sources) or 'not stated.'}\n\n"
        f"Licence: {markdown.plain(info.license) or 'not stated.'}\n\n"
        f"{sources.count:,} inputs of {sources.bytes:,} bytes together, as stored; "
        f"{sources.passes:,} {'pass' if sources.passes == 1 else 'passes'} over them:\n\n"
        f"{shown}{rest}"
    )


def _contents(manifest: Manifest) -> str:
    missing = [(markdown.plain(what), f"{count:,}") for what, count in left_out(manifest.counts)]
    dropped = markdown.table(("left out", "count"), missing) if missing else "Nothing was left out."
    return f"{markdown.table(SPLIT_HEADS, split_lines(manifest))}\n\n{dropped}"


def _objectives(manifest: Manifest) -> str:
    lines = [
        (
            facts.name,
            markdown.cell(name),
            percent(found["share_asked"]),
            percent(found["share"]),
            percent(found["masked_ratio"]),
            f"{found['mean_span_tokens']:.2f}",
            _laws(found["laws"]),
        )
        for facts in splits(manifest)
        for name, found in facts.found.get("objectives", {}).items()
    ]
    heads = ("split", "objective", "asked", "found", "hidden", "tokens a span", "its laws")
    return markdown.table(heads, lines) if lines else "No statistics were kept."


def _laws(laws: dict[str, Any] | None) -> str:
    if laws is None:
        return "none declared"
    told = (
        f"{words(name)}: {verdict(law)} (p {probability(law['log10_p'])})"
        for name, law in laws.items()
    )
    return "; ".join(told) or "rule kept in every window"
