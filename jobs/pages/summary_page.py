"""The statistics of a finished data set as one HTML page that opens from disk: `summary.html`.

Written at the end of a build, from the manifest alone, so that equal data sets have equal pages.
The page needs no network and no script; its content policy allows only its own style.
"""

import base64
import hashlib
from html import escape

from jobs.pages.manifest_facts import (
    SPLIT_HEADS,
    as_read,
    document_counts,
    left_out,
    percent,
    special_tokens,
    split_lines,
    splits,
    tokenizer_name,
)
from jobs.pages.page_assets import PAGE_OPENING, STYLE
from jobs.pages.page_parts import facts_list, table
from jobs.pages.summary_assets import CHART_STYLE
from jobs.pages.summary_split import split_section
from jobs.visible import visible
from schemas.manifest import Manifest


def render_summary(name: str, manifest: Manifest) -> str:
    """The whole page; `name` is what the data set is called."""
    manifest = as_read(manifest)
    style = STYLE + CHART_STYLE
    policy = f"default-src 'none'; style-src {_hash(style)}"
    title = escape(visible(name))
    sections = "".join(split_section(facts, manifest) for facts in splits(manifest))
    return (
        f'{PAGE_OPENING}<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}: summary</title><style>{style}</style></head><body>"
        f"<header><h1>{title}</h1>{_identity(manifest)}</header>"
        f"<main>{_overview(manifest)}{sections}</main></body></html>\n"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _identity(manifest: Manifest) -> str:
    form = manifest.row_format
    return facts_list(
        (
            ("digest of the rows", manifest.content_digest),
            ("recipe", manifest.recipe_digest),
            ("plan", manifest.plan_digest),
            ("version", f"{manifest.version}"),
            ("shards", f"{manifest.shard_format}, {form.dtype}"),
            ("row", f"{form.row_tokens:,} tokens, at most {form.max_samples:,} samples"),
            ("tokenizer", tokenizer_name(manifest.tokenizer)),
            ("its model", manifest.tokenizer.get("model_sha256", "-")),
            ("special tokens", special_tokens(manifest.tokenizer)),
        )
    )


def _overview(manifest: Manifest) -> str:
    documents = [(name, f"{count:,}") for name, count in document_counts(manifest.counts)]
    dropped = [(what, f"{count:,}") for what, count in left_out(manifest.counts)]
    missing = table(("what", "count"), dropped) if dropped else "<p>Nothing was left out.</p>"
    return (
        f"<section><h2>What it holds</h2>{table(SPLIT_HEADS, split_lines(manifest))}"
        f'<div class="beside"><div><h3>Documents</h3>{table(("documents", "count"), documents)}'
        f"{_unknown(manifest.counts)}</div><div><h3>Left out</h3>{missing}</div></div></section>"
    )


def _unknown(counts: dict[str, int]) -> str:
    tokens, unknown = (counts.get(f"documents.tokens{kind}", 0) for kind in ("", ".unknown"))
    share = f" ({percent(unknown / tokens, 2)})" if tokens else ""
    return f"<p>Of {tokens:,} tokens, {unknown:,}{share} are unknown to the tokenizer.</p>"
