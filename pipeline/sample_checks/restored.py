"""Many samples -> their windows and spans with NumPy: the restorers of `restore.py` at once.

Used by `sample_laws.py`. Nothing is trusted: a sample that cannot be read back is left out and
told, so that damage never raises.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline import restore
from pipeline.assemble import Rules
from pipeline.laws.drawn import Bools
from pipeline.laws.laws import TOKENS
from pipeline.objectives import OBJECTIVES
from pipeline.sample_checks.restored_columns import (
    Columns,
    Found,
    Pieces,
    Restored,
    is_mask,
    mask_of,
    numbers_of,
    places_of,
    refilled,
)
from pipeline.window_batch import SpanBatch, edges_of, ranges
from schemas.objectives import IGNORE_INDEX
from schemas.samples import Sample


def restore_many(samples: Columns, rules: Rules) -> tuple[Bools, Restored]:
    """(m,) True for samples that can be read back, and the windows of those, with their spans.

    Windows and spans are those that the form's `restore` gives, but single tokens that touch come
    back one by one where the objective hides such.
    """
    restorer = RESTORERS.get(OBJECTIVES[rules.objective.kind].form.restore, _one_by_one)
    fine = np.ones(len(samples), bool)
    while len(samples):
        here, restored = restorer(samples, rules)
        fine[fine] = here
        if restored is not None:
            return fine, restored
        samples = samples.part(here)
    none = np.empty(0, np.int64)
    return fine, Restored(none, edges_of(none), SpanBatch(none, none, edges_of(none)))


def blanks(samples: Columns, rules: Rules) -> Found:
    """`restore.restore_blanks`."""
    ends = np.flatnonzero(samples.in_part_b & (samples.labels == rules.special.end))
    owners = np.searchsorted(samples.edges, ends, side="right") - 1
    numbers, firsts = numbers_of(owners), samples.seams[owners]
    firsts[numbers > 0] = ends[np.flatnonzero(numbers > 0) - 1] + 1
    if rules.sentinels:
        masks = mask_of(numbers, rules.special)
        places = places_of(masks, owners, samples, rules.special)
    else:
        masks = np.full(len(owners), rules.mask)
        places = samples.positions[firsts] - samples.positions[samples.edges[owners]]
    fine = np.zeros(len(samples), bool)
    fine[owners[ends == samples.lasts[owners]]] = True
    return refilled(samples, Pieces(owners, places, firsts, ends - firsts), fine, masks)


def sentinels(samples: Columns, rules: Rules) -> Found:
    """`restore.restore_sentinels`."""
    in_part_b, special = samples.in_part_b, rules.special
    openings = np.flatnonzero(in_part_b & is_mask(samples.labels, special))
    owners = np.searchsorted(samples.edges, openings, side="right") - 1
    stops = samples.lasts[owners]
    is_inner = owners[1:] == owners[:-1]
    stops[:-1][is_inner] = openings[1:][is_inner]
    masks = samples.labels[openings]
    places = places_of(masks, owners, samples, special)
    is_first = openings == samples.seams[owners]
    fine = np.zeros(len(samples), bool)
    fine[owners[is_first]] = True
    fine &= samples.labels[samples.lasts] == special.end
    pieces = Pieces(owners, places, openings + 1, stops - openings - 1)
    return refilled(samples, pieces, fine, masks)


def prefix(samples: Columns, rules: Rules) -> Found:
    """`restore.restore_prefix`."""
    sizes, in_part_b = np.diff(samples.edges), samples.in_part_b
    fine = (samples.boundaries > 0) & (samples.boundaries < sizes)
    if not fine.all():
        return fine, None
    kept = np.ones(len(in_part_b), bool)
    kept[samples.seams - 1] = False
    tokens = np.where(in_part_b, samples.labels, samples.tokens)[kept]
    spans = SpanBatch(samples.boundaries - 1, sizes - 1, np.arange(len(sizes) + 1))
    return fine, Restored(tokens, edges_of(sizes - 1), spans)


def in_place(samples: Columns, rules: Rules) -> Found:
    """`restore.restore_in_place`."""
    is_hidden = samples.labels != IGNORE_INDEX
    owners = samples.owners
    fine = np.bincount(owners[is_hidden], minlength=len(samples)) > 0
    if not fine.all():
        return fine, None
    begins, ends = is_hidden.copy(), is_hidden.copy()
    if OBJECTIVES[rules.objective.kind].law is not TOKENS:
        joined = is_hidden[1:] & is_hidden[:-1] & (owners[1:] == owners[:-1])
        begins[1:] &= ~joined
        ends[:-1] &= ~joined
    firsts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    of, before = owners[firsts], samples.edges[owners[firsts]]
    counts = np.bincount(of, minlength=len(samples))
    spans = SpanBatch(firsts - before, stops - before, edges_of(counts))
    return fine, Restored(np.where(is_hidden, samples.labels, samples.tokens), samples.edges, spans)


def next_token(samples: Columns, rules: Rules) -> Found:
    """`restore.restore_next_token`."""
    last = samples.labels[samples.lasts]
    fine = last != IGNORE_INDEX
    if not fine.all():
        return fine, None
    sizes = np.diff(samples.edges) + 1
    edges = edges_of(sizes)
    tokens = np.empty(edges[-1], np.int64)
    tokens[ranges(edges[:-1], sizes - 1)] = samples.tokens
    tokens[edges[1:] - 1] = last
    labelled = np.flatnonzero(samples.labels != IGNORE_INDEX)
    firsts = labelled[np.searchsorted(labelled, samples.edges[:-1])] - samples.edges[:-1]
    return fine, Restored(tokens, edges, SpanBatch(firsts + 1, sizes, np.arange(len(sizes) + 1)))


def _one_by_one(samples: Columns, rules: Rules) -> Found:
    """What the form's own `restore` gives, for forms that are not known here."""
    form, fine = OBJECTIVES[rules.objective.kind].form, np.zeros(len(samples), bool)
    windows, spans = [], []
    for index in range(len(samples)):
        with contextlib.suppress(AssertionError, IndexError, ValueError):
            window, found = form.restore(_sample(samples, index), rules)
            windows.append(window.astype(np.int64))
            spans.append(np.array(found, np.int64).reshape(-1, 2))
            fine[index] = True
    if not fine.all():
        return fine, None
    starts, stops = np.concatenate(spans).T.copy()
    counts, sizes = (np.array([len(one) for one in part], np.int64) for part in (spans, windows))
    found_spans = SpanBatch(starts, stops, edges_of(counts))
    return fine, Restored(np.concatenate(windows), edges_of(sizes), found_spans)


def _sample(samples: Columns, index: int) -> Sample:
    """Sample `index` as an object, for the plain definition; block positions are not known."""
    inside = slice(int(samples.edges[index]), int(samples.edges[index + 1]))
    columns = (samples.tokens, samples.labels, samples.positions)
    tokens, labels, positions = (column[inside].astype(np.int32) for column in columns)
    boundary = int(samples.boundaries[index])
    return Sample(tokens, labels, positions, np.zeros_like(tokens), boundary)


Restorer = Callable[[Columns, Rules], Found]

RESTORERS: dict[Callable[..., Any], Restorer] = {
    restore.restore_blanks: blanks,
    restore.restore_prefix: prefix,
    restore.restore_in_place: in_place,
    restore.restore_next_token: next_token,
    restore.restore_sentinels: sentinels,
}
"""Restorers of the definition that are known here, and what does the same for many samples."""
