"""Numbers of a manifest in the order and the words in which people are shown them.

Shared by the summary page and the card, so that both say the same.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.laws.goodness_of_fit import MAX_LOG10_P, MIN_TOTAL_VARIATION
from schemas.manifest import SPLITS, Manifest

_APART = ("documents.dropped.", "documents.tokens")


def as_read(manifest: Manifest) -> Manifest:
    """The same manifest with all keys in the order in which they are read from its file."""
    return Manifest.from_json(manifest.to_json(), "manifest")


class SplitFacts(NamedTuple):
    """One split: `found` is its part of the statistics, empty where there is none."""

    name: str
    rows: int
    documents: int
    tokens: int
    found: dict[str, Any]


def splits(manifest: Manifest) -> list[SplitFacts]:
    """Every split that has rows or documents, training first."""
    counts = manifest.counts
    every = (
        SplitFacts(
            split,
            manifest.rows[split],
            counts.get(f"{split}.documents", 0),
            counts.get(f"{split}.document_tokens", 0),
            manifest.statistics.get(split, {}),
        )
        for split in SPLITS
    )
    return [facts for facts in every if facts.rows or facts.documents]


SPLIT_HEADS = ("split", "rows", "samples", "documents", "tokens of text", "rows filled")


def split_lines(manifest: Manifest) -> list[tuple[str, ...]]:
    """What every split holds, under `SPLIT_HEADS`."""
    return [
        (
            facts.name,
            f"{facts.rows:,}",
            f"{facts.found.get('samples', 0):,}",
            f"{facts.documents:,}",
            f"{facts.tokens:,}",
            percent(facts.found.get("fill")),
        )
        for facts in splits(manifest)
    ]


def document_counts(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    """What is known of the documents that were read, apart from what was left out."""
    for name, count in sorted(counts.items()):
        if name == "documents":
            yield "read", count
        elif name.startswith("documents.") and not name.startswith(_APART):
            yield words(name.removeprefix("documents.")), count


def left_out(counts: dict[str, int]) -> Iterator[tuple[str, int]]:
    """What, for which reason, and how many: everything that was read and is in no row."""
    for name, count in sorted(counts.items()):
        if not count:
            continue
        if name.startswith("bad."):
            yield f"input, in quarantine: {words(name.removeprefix('bad.'))}", count
        elif ".dropped." in name:
            what, reason = name.split(".dropped.", 1)
            yield f"{words(what)}: {words(reason)}", count


def special_tokens(tokenizer: dict[str, Any]) -> str:
    """Ids of the special tokens; those of sentinels where there are any."""
    special = dict(tokenizer.get("special", {}))
    first, count = special.pop("first_sentinel", 0), special.pop("num_sentinels", 0)
    named = [f"{name} {value}" for name, value in special.items()]
    return ", ".join(named + ([f"sentinels {first} to {first + count - 1}"] if count else []))


def tokenizer_name(tokenizer: dict[str, Any]) -> str:
    """Kind, size and layout of a tokenizer."""
    size = f"{tokenizer.get('vocab_size', 0):,} tokens"
    layout = tokenizer.get("layout")
    parts = (tokenizer.get("kind"), size, layout and f"layout {layout}")
    return ", ".join(filter(None, parts))


def words(name: str) -> str:
    """A name of a count or a law as words."""
    return name.replace("_", " ").replace(".", ", ")


def percent(share: float | None, digits: int = 1) -> str:
    """`12.3 %`; a dash where nothing is said."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def probability(log10_p: float) -> str:
    """A probability given as its logarithm, however small."""
    return f"{10**log10_p:.2g}" if log10_p > -300 else f"1e{log10_p:.0f}"


def verdict(law: dict[str, Any]) -> str:
    """What the test of one law says, in words."""
    if not law["windows"] or not law["degrees_of_freedom"]:
        return "too few windows to tell"
    if law["log10_p"] >= MAX_LOG10_P:
        return "as declared"
    is_material = law["total_variation"] > MIN_TOTAL_VARIATION
    return "not as declared" if is_material else "as declared, but for a trifle"
