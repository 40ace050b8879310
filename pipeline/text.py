"""documents -> sentences -> tokens, many documents at a time.

Stands between reading and windows. Sentences of many documents go through the tokenizer in one flat
call, which is twice as fast as one call per document and gives the same ids.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.documents import Document
from pipeline.sentences import Splitter
from pipeline.tokens import Tokenizer

_ENCODE_CHARACTERS = 1 << 19


@dataclass(frozen=True, slots=True)
class TokenizedDocument:
    """A document's ids (int32, without special tokens) and the ascending ends of its sentences."""

    document: Document
    tokens: NDArray[np.int32]
    sentence_ends: NDArray[np.int64]


def tokenize_documents(
    documents: Iterable[Document], splitter: Splitter, tokenizer: Tokenizer
) -> Iterator[TokenizedDocument]:
    """Each document split and tokenized, in order; holds about half a million characters."""
    waiting: list[tuple[Document, list[str]]] = []
    characters = 0
    for document in documents:
        text = document.text
        waiting.append((document, [text[start:stop] for start, stop in splitter.spans(text)]))
        characters += len(text)
        if characters >= _ENCODE_CHARACTERS:
            yield from _encode(waiting, tokenizer)
            waiting, characters = [], 0
    yield from _encode(waiting, tokenizer)


def _encode(
    waiting: list[tuple[Document, list[str]]], tokenizer: Tokenizer
) -> Iterator[TokenizedDocument]:
    tokens, counts = tokenizer.encode([text for _, sentences in waiting for text in sentences])
    edges = np.concatenate(([0], np.cumsum(counts)))
    bounds = pairwise([0, *accumulate(len(sentences) for _, sentences in waiting)])
    for (document, _), (low, high) in zip(waiting, bounds, strict=True):
        start, stop = edges[low], edges[high]
        ends = np.unique(edges[low + 1 : high + 1] - start)
        yield TokenizedDocument(document, tokens[start:stop], ends[ends > 0])
