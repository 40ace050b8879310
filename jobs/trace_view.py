"""The samples behind a step as lines for a terminal, or as JSON.

Stands behind `trace.py`. JSON shortens nothing and is one object; its keys are in docs/trace.md.
"""

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from jobs.pages.visible_text import Run, count
from jobs.terminal_text import marked_text
from jobs.trace import StepTrace, TracedSample
from jobs.visible import visible


def render_trace(trace: StepTrace, limit: int | None = None, everything: bool = False) -> Group:
    """At most `limit` samples; their text is shortened unless `everything`."""
    request = trace.request
    is_part = request.rank is not None and trace.world_size > 1
    rank = f", rank {request.rank} of {trace.world_size}" if is_part else ""
    title = (
        f"step {request.step} of {visible(str(request.run))}{rank}: loss "
        f"{trace.metrics['loss']:.4f}; rows {trace.first_row}..{trace.stop_row} of the stream, "
        f"{count(len(trace.samples), 'sample')}"
    )
    shown = trace.samples[:limit]
    parts: list[RenderableType] = [Text(title, style="bold")]
    parts += [part for one in shown for part in _sample(one, everything)]
    left_out = len(trace.samples) - len(shown)
    if left_out:
        parts.append(Text(f"\n… and {count(left_out, 'more sample')}"))
    return Group(*parts)


class _Indented:
    """Text behind a margin: wrapped where the console wraps, else whole (`Padding` crops it)."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        margin = "  "
        if options.no_wrap:
            yield Text(f"\n{margin}").join(Text(margin).append_text(self._text).split("\n"))
        else:
            yield Padding(self._text, (0, 0, 0, len(margin)), expand=False)


def _sample(traced: TracedSample, everything: bool) -> list[RenderableType]:
    view, origin, row = traced.sample, traced.sample.origin, traced.row
    loss = traced.loss
    lost = f", loss {loss.mean:.4f} over {count(loss.num_labels, 'label')}" if loss else ""
    language = f", language {origin.language}" if origin.language else ""
    spans = ", ".join(f"{span.hidden.start}..{span.hidden.stop}" for span in view.spans)
    lines = (
        f"document {origin.document} ({origin.source}, {origin.place}{language})",
        f"window {origin.window}, tokens {origin.first_token}..{origin.stop_token}; hidden of its "
        f"{len(view.window)} tokens: {spans}",
        f"data set {row.dataset}, row {row.row} (row {row.index} of {row.shard}, "
        f"pass {row.pass_number})",
    )
    head = f"\nrow {traced.stream_row}, sample {traced.number}: {view.name}{lost}"
    text = marked_text(view.text(), everything)
    return [
        Text(head, style="bold underline"),
        *(Text(line) for line in lines),
        _Indented(text),
    ]


def trace_json(trace: StepTrace, limit: int | None = None) -> str:
    """One object, its characters ASCII; at most `limit` samples."""
    request = trace.request
    content = {
        "run": str(request.run),
        "step": request.step,
        "rank": request.rank,
        "world_size": trace.world_size,
        "first_row": trace.first_row,
        "stop_row": trace.stop_row,
        "metrics": trace.metrics,
        "num_samples": len(trace.samples),
        "samples": [_mapping(one) for one in trace.samples[:limit]],
    }
    return json.dumps(content, indent=1)


def _mapping(traced: TracedSample) -> dict[str, Any]:
    view, origin, row, loss = traced.sample, traced.sample.origin, traced.row, traced.loss
    runs = view.text()
    lost = {} if loss is None else {"loss": loss.mean, "num_labels": loss.num_labels}
    return lost | {
        "stream_row": traced.stream_row,
        "sample": traced.number,
        "dataset": {"path": traced.dataset.name, "digest": traced.dataset.digest},
        "row": row.row,
        "shard": row.shard,
        "shard_row": row.index,
        "pass": row.pass_number,
        "objective": view.name,
        "kind": view.rules.objective.kind,
        "document": origin.document,
        "source": origin.source,
        "unit": origin.unit,
        "start": origin.start,
        "stop": origin.stop,
        "language": origin.language or None,
        "window": origin.window,
        "first_token": origin.first_token,
        "stop_token": origin.stop_token,
        "window_tokens": len(view.window),
        "boundary": view.sample.boundary,
        "spans": [
            {
                "number": span.number,
                "start": span.hidden.start,
                "stop": span.hidden.stop,
                "text": _text([run for run in runs if run.span == span.number]),
            }
            for span in view.spans
        ],
        "text": _text(runs),
        "marked_text": marked_text(runs, everything=True).plain,
    }


def _text(runs: list[Run]) -> str:
    """The text of the runs without special tokens."""
    return "".join(run.text for run in runs if not run.is_special)
