"""Where samples say they come from: the laws that their windows keep among each other.

Used by `sample_laws.py`. The rows at hand are looked at together, so that a window can be compared
with its neighbours wherever they were packed.
"""

import numpy as np

from pipeline.sample_checks.row_laws import Problem, Samples


def check_origins(samples: Samples) -> list[Problem]:
    """Where windows are not the consecutive slices of the documents of one item.

    Windows of a document are numbered as they follow each other, without overlap and without a gap
    between neighbours, and each is one sample. In a row they stand in the order of the corpus.
    """
    rows, documents, windows = samples.rows, samples.documents, samples.windows
    follows = np.ones(len(samples), bool)
    is_later = (documents[1:] > documents[:-1]) | (
        (documents[1:] == documents[:-1]) & (windows[1:] > windows[:-1])
    )
    follows[1:] = is_later | (rows[1:] != rows[:-1])
    problems = samples.problems(
        follows,
        lambda i: (
            f"{_named(samples, i)} behind {_named(samples, i - 1)}: expected the order of "
            "the corpus"
        ),
    )
    problems += samples.problems(
        windows <= samples.starts,
        lambda i: f"{_named(samples, i)}: expected a token at least in each window before it",
    )
    return problems + _check_neighbours(samples.part(np.lexsort((windows, documents))))


def _check_neighbours(samples: Samples) -> list[Problem]:
    """Problems of `samples` in the order of the corpus."""
    steps = np.diff(samples.windows)
    gaps = samples.starts[1:] - samples.stops[:-1]
    keeps = np.where(steps == 1, gaps == 0, (steps > 0) & (gaps >= steps - 1))
    holds = np.ones(len(samples), bool)
    holds[1:] = keeps | (samples.documents[1:] != samples.documents[:-1])
    return samples.problems(
        holds,
        lambda i: (
            f"{_named(samples, i)} and {_named(samples, i - 1)} (row {samples.rows[i - 1]}): "
            "expected one after the other, without a gap between neighbours"
        ),
    )


def _named(samples: Samples, index: int) -> str:
    return (
        f"window {samples.windows[index]} of document {samples.documents[index]}, tokens "
        f"[{samples.starts[index]}, {samples.stops[index]})"
    )
