"""A row as one HTML page that opens from disk: what GLM reads and predicts, for a newcomer.

Used by `blankstream inspect --html`. The page needs no network and no script; its content policy
allows only its own style and script, and all text of the data set is escaped.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from itertools import groupby

from jobs.pages.attention_picture import colour_class, row_svg, sample_svg
from jobs.pages.page_assets import INTRODUCTION, PAGE_OPENING, SCRIPT, STYLE
from jobs.pages.visible_text import Run, count
from jobs.sample_view import RowView, SampleView
from jobs.token_grid import token_grids
from pipeline.restore import SpanPlaces

Facts = Sequence[tuple[str, object]]


def render_page(view: RowView) -> str:
    """The whole page; equal rows give equal pages."""
    title = f"{view.split} row {view.row}"
    samples = "".join(_sample(number, sample) for number, sample in enumerate(view.samples))
    policy = f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}"
    return (
        f'{PAGE_OPENING}<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title} of {escape(view.dataset)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{title}</h1>{_facts(_row_facts(view))}</header>"
        f"<section><h2>How to read this page</h2>{INTRODUCTION}</section>"
        f"<section><h2>The row</h2>{_row(view)}</section>"
        f"{samples}<script>{SCRIPT}</script></body></html>\n"
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _facts(facts: Facts) -> str:
    items = (f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts)
    return f"<dl>{''.join(items)}</dl>"


def _row_facts(view: RowView) -> Facts:
    padding = view.row_tokens - view.used_tokens
    return (
        ("data set", view.dataset),
        ("shard", view.shard),
        ("row in the shard", view.index),
        ("pass", view.pass_number),
        ("samples", len(view.samples)),
        ("tokens", f"{view.used_tokens:,} used + {padding:,} padding = {view.row_tokens:,}"),
    )


def _row(view: RowView) -> str:
    links = (
        f'<li><a href="#sample-{number}">sample {number}</a>: {escape(sample.name)}, '
        f"{count(sample.length, 'token')}</li>"
        for number, sample in enumerate(view.samples)
    )
    picture = row_svg(
        [sample.sample.boundary for sample in view.samples],
        [sample.length for sample in view.samples],
        view.row_tokens,
        "Attention mask of the whole row",
    )
    caption = (
        f"<p>{count(len(view.samples), 'sample')} packed into one row. Each square is one sample; "
        "outside the squares nothing is seen: packed samples do not see each other. Inside, the "
        "grey band is part A and the coloured stairs are part B. Padding, if there is any, "
        "sees itself alone (the thin diagonal).</p>"
    )
    figure = f"<figure>{picture}<figcaption>{caption}<output></output></figcaption></figure>"
    return f"{figure}<nav><ol>{''.join(links)}</ol></nav>"


def _sample(number: int, view: SampleView) -> str:
    boundary = view.sample.boundary
    parts = [
        f"<h2>sample {number}: {escape(view.name)}</h2>",
        f"<p>{escape(view.form.note)}</p>",
        _facts(_sample_facts(view)),
        f"<h3>The text, its hidden parts coloured</h3>{_text(view.text(), number, 't')}",
    ]
    if boundary:
        read = _text(view.part_a(), number, "a")
        parts.append(f"<h3>Part A, as the model reads it</h3>{read}")
    parts.append(f"<h3>{_spans_heading(view)}</h3>{_spans(view, number)}")
    parts.append(f"<h3>Tokens, labels and both positions</h3>{token_grids(view)}")
    parts.append(f"<h3>Who sees whom</h3>{_mask(view)}")
    return f'<section class="sample" id="sample-{number}">{"".join(parts)}</section>'


def _sample_facts(view: SampleView) -> Facts:
    origin, boundary = view.origin, view.sample.boundary
    ratio = view.num_hidden / max(1, len(view.window))
    return (
        ("objective", f"{view.name} (kind {view.rules.objective.kind})"),
        ("mask token", " ".join(view.masks) or "none"),
        ("size", f"part A {boundary} + part B {view.length - boundary} = {view.length} tokens"),
        (
            "hidden",
            f"{view.num_hidden} of {len(view.window)} tokens ({ratio:.0%}) in "
            f"{count(len(view.spans), 'span')}",
        ),
        ("document", origin.document),
        ("source", f"{origin.source}, {origin.place}"),
        (
            "window",
            f"{origin.window}, tokens {origin.first_token}..{origin.stop_token} of the document",
        ),
    )


def _text(runs: Sequence[Run], number: int, place: str) -> str:
    """Runs with spans linked to their line in the list of spans; `place` names their anchors."""
    parts, seen = [], set()
    for span, group in groupby(runs, key=lambda run: run.span):
        inside = "".join(map(_run, group))
        if not span:
            parts.append(inside)
            continue
        anchor = "" if span in seen else f' id="s{number}-{place}{span}"'
        seen.add(span)
        parts.append(
            f'<a class="s {colour_class(span)}"{anchor} href="#s{number}-b{span}" data-s="{span}">'
            f'<span class="n">{span}</span>{inside}</a>'
        )
    return f'<div class="text" dir="auto">{"".join(parts)}</div>'


def _run(run: Run) -> str:
    return f'<span class="x">{escape(run.text)}</span>' if run.is_special else escape(run.text)


def _spans_heading(view: SampleView) -> str:
    if view.sample.boundary == view.length:
        return "No part B: what is predicted where it stands"
    return "Part B in its order: what is read, and what is predicted for it"


def _spans(view: SampleView, number: int) -> str:
    return f'<ol class="spans">{"".join(_span(view, span, number) for span in view.spans)}</ol>'


def _span(view: SampleView, span: SpanPlaces, number: int) -> str:
    fate = f" ({view.fate(span)})" if view.sample.boundary == view.length else ""
    lines = (
        (f"reads{fate}", "".join(map(_run, view.reads(span)))),
        ("predicts", "".join(map(_run, view.predicts(span)))),
    )
    shown = "".join(
        f'<div class="what">{what}</div><div dir="auto">{text}</div>' for what, text in lines
    )
    back = f'<a href="#s{number}-t{span.number}" title="to the text">span</a>'
    return (
        f'<li class="b {colour_class(span.number)}" id="s{number}-b{span.number}" '
        f'data-s="{span.number}"><div class="what">{back} '
        f'<span class="n">{span.number}</span></div>'
        f'<div class="what">{_where(view, span)}</div>{shown}</li>'
    )


def _where(view: SampleView, span: SpanPlaces) -> str:
    hidden = count(span.hidden.stop - span.hidden.start, "token")
    standing = (part for part in (span.inputs, span.blank, span.labels) if part.stop > part.start)
    first = next(standing).start
    place = f"position {int(view.sample.positions[first])}"
    return f"{hidden}, from index {first} on, {place}"


def _mask(view: SampleView) -> str:
    picture = sample_svg(view.sample.boundary, view.owners.tolist(), "Attention mask of the sample")
    caption = (
        "<p>A line of the picture is a token that looks, a column one that is looked at; what is "
        f"filled is seen. {_who_sees_whom(view)} The strips above and at the left show where the "
        "spans are.</p>"
    )
    return f"<figure>{picture}<figcaption>{caption}<output></output></figcaption></figure>"


def _who_sees_whom(view: SampleView) -> str:
    boundary, length = view.sample.boundary, view.length
    if boundary == length:
        return f"All {length} tokens are part A: each sees all others, before and behind it."
    stairs = (
        "The stairs are part B: a token sees itself and what precedes it in part B, nothing later"
    )
    if not boundary:
        return f"{stairs}. There is no part A, so this is a causal language model's triangle."
    several = (
        "; so span 2 may use span 1, but not the other way round" if len(view.spans) > 1 else ""
    )
    return (
        f"The grey band is part A, the first {count(boundary, 'column')}: every token sees all of "
        f"it, so part A is read in both directions. {stairs}{several}. Part A never sees part B "
        "(the empty corner at the upper right)."
    )
