"""Pieces of an HTML page: lists of facts, tables, figures. Whatever is given is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from jobs.pages.svg_parts import Caption
from jobs.visible import visible


def facts_list(facts: Iterable[tuple[str, str]]) -> str:
    """A list of names and what they are, made visible and escaped."""
    items = (f"<dt>{escape(name)}</dt><dd>{escape(visible(text))}</dd>" for name, text in facts)
    return f"<dl>{''.join(items)}</dl>"


def figure(caption: Caption, chart: str, numbers: str) -> str:
    """A chart under its title, with what it says and its numbers, folded up."""
    return (
        f'<figure class="chart"><h4>{escape(caption.title)}</h4>{chart}'
        f"<figcaption>{escape(caption.about)}.</figcaption>"
        f"<details><summary>numbers</summary>{numbers}</details></figure>"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names the line."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return (
        f'<div class="numbers"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
