"""What a finished build says: rows, objectives, what was left out and why, what to do next."""

from pathlib import Path
from typing import Any

from schemas.manifest import Manifest


def build_summary(dataset: Path, manifest: Manifest) -> str:
    """Lines for people; every number is from the manifest."""
    counts = manifest.counts
    lines = [f"{dataset}: {_numbers(manifest)}"]
    for split, found in manifest.statistics.items():
        lines.append(f"  {split}: {found['samples']:,} samples, rows {found['fill']:.1%} full")
        lines += [f"    {name}: {_objective(part)}" for name, part in found["objectives"].items()]
    left_out = {
        name: count
        for name, count in counts.items()
        if (name.startswith("bad.") or ".dropped." in name) and count
    }
    described = ", ".join(f"{name} {count:,}" for name, count in left_out.items())
    lines.append(f"  left out: {described or 'nothing'}")
    if any(name.startswith("bad.") for name in left_out):
        lines.append(f"  what could not be used is listed in {dataset / 'quarantine'}")
    return "\n".join(lines)


def _numbers(manifest: Manifest) -> str:
    rows, documents = manifest.rows, manifest.counts.get("documents", 0)
    return (
        f"{rows['train']:,} training rows and {rows['heldout']:,} held-out rows of "
        f"{manifest.row_format.row_tokens} tokens from {documents:,} documents"
    )


def _objective(part: dict[str, Any]) -> str:
    mean = part["mean_span_tokens"]
    spans = f" in spans of {mean:.2f}" if mean else ""
    return (
        f"{part['share']:.1%} of samples (asked {part['share_asked']:.1%}), "
        f"{part['masked_ratio']:.1%} of tokens masked{spans}"
    )
