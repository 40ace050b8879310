"""inputs -> tokenizer and splitter, trained on a bounded sample of the training documents.

Stands before the plan, whose recipe holds the hashes of both. Held-out documents are never in the
sample.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import xxhash

from pipeline.documents import is_heldout, read_documents
from pipeline.readers.reads import Document
from pipeline.sentences import TRAINING_CHARACTERS, Splitter, load_splitter, train_splitter
from pipeline.tokens import load_tokenizer
from pipeline.vocabularies.sentencepiece_tokens import train_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer, cut_units
from schemas.build_config import BuildConfig
from schemas.errors import InputError
from schemas.plan import SourceRange

_OVERSAMPLING = 4
"""Characters looked at for one character of the sample, unless the inputs end before."""
_MAX_RANGES = 50_000


def sample_texts(
    ranges: Iterable[SourceRange], sources: dict[str, str | Path], config: BuildConfig
) -> list[str]:
    """Training texts of about `config.tokenizer.sample_characters`, chosen by the ids' hashes.

    Ranges are read in the order of their own hashes until enough was seen, so that neither the
    order nor the number of inputs matters; of more than `_MAX_RANGES` the first so many.
    Deterministic; needs no more memory than the sample and those ranges.
    """
    budget = config.tokenizer.sample_characters
    chosen: list[tuple[int, str]] = []
    seen = held = 0
    for document in _training_documents(ranges, sources, config):
        text = document.text[:budget]
        heapq.heappush(chosen, (-xxhash.xxh3_64_intdigest(f"sample/{document.id}".encode()), text))
        seen, held = seen + len(text), held + len(text)
        while held - len(chosen[0][1]) >= budget:
            held -= len(heapq.heappop(chosen)[1])
        if seen >= _OVERSAMPLING * budget:
            break
    if not chosen:
        raise InputError(
            "no document of the inputs can be used to train a tokenizer; look at the inputs and at "
            "build.text_field, or give build.tokenizer.path and build.splitter"
        )
    return [text for _, text in sorted(chosen, reverse=True)]


def prepare_splitter(texts: Sequence[str], config: BuildConfig) -> Splitter:
    """The splitter that `config.splitter` names, or one trained on `texts`."""
    if config.splitter != "train":
        return load_splitter(config.splitter, by=config.splitter_by)
    return train_splitter(_limited(texts, TRAINING_CHARACTERS), by=config.splitter_by)


def prepare_tokenizer(texts: Sequence[str], splitter: Splitter, config: BuildConfig) -> Tokenizer:
    """The tokenizer at `config.tokenizer.path`, or one trained on the sentences of `texts`."""
    if config.tokenizer.path:
        return load_tokenizer(Path(config.tokenizer.path), config.tokenizer)
    units = (unit for text in texts for unit in cut_units(text, splitter.spans(text), " "))
    return train_tokenizer(units, config.tokenizer)


def _training_documents(
    ranges: Iterable[SourceRange], sources: dict[str, str | Path], config: BuildConfig
) -> Iterator[Document]:
    chosen = heapq.nsmallest(
        _MAX_RANGES, ranges, key=lambda part: (part.xxh3, part.path, part.start)
    )
    for source in chosen:
        for read in read_documents(sources[source.path], source, config):
            if not isinstance(read, Document) or not read.text.strip():
                continue
            if not is_heldout(read.id, config.heldout_ratio):
                yield read


def _limited(texts: Sequence[str], characters: int) -> Iterator[str]:
    for text in texts:
        if characters <= 0:
            return
        yield text[:characters]
        characters -= len(text)
