"""How full rows get: samples of the English corpus under glm-base, for several row sizes.

Windows are cut and spans drawn as in a build, with a SentencePiece vocabulary trained on the text;
the lengths then go through the packer for each size of row. Prints one JSON line.
"""

import json
from collections import Counter
from itertools import chain

import numpy as np

from benchmarks.corpus import texts
from jobs.options import find_preset
from pipeline.engines.choice import choose_engine
from pipeline.mixing import ObjectiveMix
from pipeline.objectives import OBJECTIVES, rules_of
from pipeline.packing import OPEN_ROWS, Packer
from pipeline.readers.reads import Document
from pipeline.sentences import train_splitter
from pipeline.text import tokenize_documents
from pipeline.vocabularies.sentencepiece_tokens import train_tokenizer
from pipeline.vocabularies.tokenizer import cut_units
from pipeline.windows import WindowCutter
from schemas.config import load_config

MEGABYTES, SAMPLE_CHARACTERS = 400.0, 2_000_000
ROW_TOKENS = (1104, 1664, 2240, 4096, 4480, 5632, 8192)


def sample_lengths(documents: list[Document]) -> list[int]:
    """Tokens of every sample of `documents` under glm-base, in their order."""
    config = load_config(find_preset("glm-base")).build
    joined = "\n".join(document.text[:2000] for document in documents)[:SAMPLE_CHARACTERS]
    splitter = train_splitter([joined])
    tokenizer = train_tokenizer(cut_units(joined, splitter.spans(joined), " "), config.tokenizer)
    rules = [rules_of(config, "blank", tokenizer.special, tokenizer.vocab_size)]
    cutter = WindowCutter(config, ObjectiveMix(config, "", "train"), Counter(), "train")
    engine, form = choose_engine(), OBJECTIVES["blank"].form
    found = []
    for batch in tokenize_documents(documents, splitter, tokenizer):
        every = range(len(batch.documents))
        windows = cutter.cut(batch, every, every, [int(d.id) for d in batch.documents])
        spans = engine.draw(windows, rules, True)
        found.append(form.size(windows.sizes, spans.counts).tolist())
    return list(chain.from_iterable(found))


def fill(lengths: list[int], row_tokens: int) -> float:
    """Part of the tokens of rows of `row_tokens` that samples of `lengths` cover."""
    packer = Packer(row_tokens, row_tokens)
    for length in lengths:
        packer.place(length)
    packer.finish()
    return sum(lengths) / (row_tokens * len(packer.closed))


def main() -> None:
    documents = [Document(str(n), text, "", 0, 0) for n, text in enumerate(texts(MEGABYTES))]
    lengths = sample_lengths(documents)
    result = {
        "benchmark": "packing",
        "samples": len(lengths),
        "mean_tokens": round(float(np.mean(lengths)), 1),
        "open_rows": OPEN_ROWS,
        "fill": {str(tokens): round(fill(lengths, tokens), 4) for tokens in ROW_TOKENS},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
