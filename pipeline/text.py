"""documents -> sentences -> tokens, many documents at a time.

Stands between reading and windows. Sentences of many documents go through the tokenizer in one flat
call, which is twice as fast as one call per document and gives the same ids.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.reads import Document
from pipeline.sentences import Splitter
from pipeline.stopwatch import Stopwatch
from pipeline.vocabularies.tokenizer import Tokenizer, cut_units

BATCH_CHARACTERS = 1 << 20
"""Characters that are held and tokenized together, unless one document has more."""


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """The tokens of `documents` (d of them), one after another, without special tokens.

    Document i has `tokens[edges[i]:edges[i + 1]]` (int32), the first `prompts[i]` of which are its
    prompt. `sentence_ends` ascend in the coordinates of `tokens`, each once; every end of a
    document and of a prompt is among them.
    """

    documents: list[Document]
    tokens: NDArray[np.int32]
    edges: NDArray[np.int64]
    prompts: NDArray[np.int64]
    sentence_ends: NDArray[np.int64]


def tokenize_documents(
    documents: Iterable[Document],
    splitter: Splitter,
    tokenizer: Tokenizer,
    stopwatch: Stopwatch | None = None,
) -> Iterator[TokenBatch]:
    """The documents split and tokenized, in order, about a million characters at a time.

    `stopwatch` counts the stages `sentences` and `tokens`.
    """
    watch = stopwatch or Stopwatch("")
    waiting: list[Document] = []
    characters = 0
    for document in documents:
        waiting.append(document)
        characters += len(document.prompt) + len(document.text)
        if characters >= BATCH_CHARACTERS:
            yield _encode(waiting, splitter, tokenizer, watch)
            waiting, characters = [], 0
    if waiting:
        yield _encode(waiting, splitter, tokenizer, watch)


def _encode(
    documents: list[Document], splitter: Splitter, tokenizer: Tokenizer, watch: Stopwatch
) -> TokenBatch:
    units: list[str] = []
    stops = [0]
    with watch.stage("sentences"):
        for document in documents:
            for text, opening in _parts(document, tokenizer.opening):
                if text:
                    units += cut_units(text, splitter.spans(text, document.language), opening)
                stops.append(len(units))
    with watch.stage("tokens"):
        tokens, counts = tokenizer.encode(units)
    ends = np.concatenate(([0], np.cumsum(counts)))
    parts = ends[stops]
    edges = parts[::2]
    return TokenBatch(
        documents, tokens, edges, parts[1::2] - edges[:-1], np.unique(ends[1:][counts > 0])
    )


def _parts(document: Document, opening: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """(prompt, its opening) and (text, its opening): as written, white space between them kept."""
    prompt, text = document.prompt, document.text
    if not prompt:
        return ("", opening), (text, opening)
    between = prompt[len(prompt.rstrip()) :] + text[: len(text) - len(text.lstrip())]
    return (prompt, opening), (text, between or opening)
