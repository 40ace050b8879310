"""What a finished build says: rows, objectives and their laws, what was left out and why."""

from pathlib import Path
from typing import Any

from schemas.manifest import Manifest


def build_summary(dataset: str | Path, manifest: Manifest) -> str:
    """Lines for people; every number is from the manifest."""
    counts = manifest.counts
    lines = [f"{dataset}: {_numbers(manifest)}"]
    for split, found in manifest.statistics.items():
        lines.append(f"  {split}: {found['samples']:,} samples, rows {found['fill']:.1%} full")
        for name, part in found["objectives"].items():
            lines.append(f"    {name}: {_objective(part, found['mix_by'])}")
            lines.append(f"      {_laws(part)}")
    left_out = {
        name: count
        for name, count in counts.items()
        if (name.startswith("bad.") or ".dropped." in name) and count
    }
    described = ", ".join(f"{name} {count:,}" for name, count in left_out.items())
    lines.append(f"  left out: {described or 'nothing'}")
    if counts.get("documents.identical"):
        lines.append(f"  kept, though identical to others: {counts['documents.identical']:,}")
    if unknown := counts.get("documents.tokens.unknown", 0):
        ratio = unknown / counts["documents.tokens"]
        lines.append(f"  unknown to the tokenizer: {unknown:,} tokens, {ratio:.1%} of the text's")
    if any(name.startswith("bad.") for name in left_out):
        lines.append(f"  what could not be used is listed in {dataset}/quarantine")
    return "\n".join(lines)


def _numbers(manifest: Manifest) -> str:
    rows, documents = manifest.rows, manifest.counts.get("documents", 0)
    return (
        f"{rows['train']:,} training rows and {rows['heldout']:,} held-out rows of "
        f"{manifest.row_format.row_tokens} tokens from {documents:,} documents"
    )


def _objective(part: dict[str, Any], mix_by: str) -> str:
    asked = part["share_asked"]
    against = "" if asked is None else f" (asked {asked:.1%})"
    return (
        f"{part['share']:.1%} of {mix_by}{against}, "
        f"{part['masked_ratio']:.1%} of tokens masked in spans of {part['mean_span_tokens']:.2f}"
    )


def _laws(part: dict[str, Any]) -> str:
    """What was found against the law, in one line."""
    laws = part["laws"]
    if laws is None:
        return "no law declared: nothing checked"
    short = part["short_windows"]
    apart = f" ({short:,} short windows apart)" if short else ""
    if not laws:
        return f"rule kept in all {part['windows'] + short:,} windows"
    checked = {name: law for name, law in laws.items() if law["windows"]}
    declared = [f"as declared: {', '.join(map(_law, checked.items()))}"] if checked else []
    unchecked = [name.replace("_", " ") for name in laws if name not in checked]
    few = [f"too few windows for {', '.join(unchecked)}"] if unchecked else []
    return "; ".join(declared + few) + apart


def _law(item: tuple[str, dict[str, Any]]) -> str:
    name, found = item
    return (
        f"{name.replace('_', ' ')} p={10 ** found['log10_p']:.2g} "
        f"off by {found['total_variation']:.2%} in {found['windows']:,} windows"
    )
