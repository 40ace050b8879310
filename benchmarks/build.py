"""A serial build of Python's help topics: text in MB/s, behind planning and tokenizer training.

Prints one JSON line, with the share of nltk's splitting and of raw SentencePiece in the same text.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from pydoc_data import topics

from jobs.build import BuildRequest, build_dataset
from jobs.cli import find_preset
from jobs.demo import write_documents
from pipeline.build import BuildContext, build_work_item
from pipeline.sentences import load_splitter
from pipeline.tokens import open_tokenizer
from schemas.config import load_config
from schemas.manifest import TOKENIZER_FOLDER
from schemas.plan import Plan
from tests.corpus import NoProgress

ROUNDS = 5


def main() -> None:
    texts = list(topics.topics.values())
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    config = load_config(find_preset("tiny")).build
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_documents(folder / "text" / "topics.jsonl")
        output = folder / "d"
        build_dataset(BuildRequest(config, [folder / "text"], output, "serial", 1), NoProgress())
        plan = Plan.from_json((output / "plan.json").read_text(), "plan.json")
        sources = {"topics.jsonl": folder / "text" / "topics.jsonl"}
        context = BuildContext(output, sources, plan.recipe)
        splitter = load_splitter(output / "splitter.json")
        tokenizer = open_tokenizer(output / TOKENIZER_FOLDER)
        whole, splitting, tokenizing = [], [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for item in plan.items():
                build_work_item(context, item)
            built = time.perf_counter()
            sentences = [text[a:b] for text in texts for a, b in splitter.spans(text)]
            split = time.perf_counter()
            tokenizer.encode(sentences)
            whole.append(built - start)
            splitting.append(split - built)
            tokenizing.append(time.perf_counter() - split)
    seconds = statistics.median(whole)
    result = {
        "benchmark": "build",
        "text_megabytes_per_second": round(megabytes / seconds, 2),
        "splitting_share": round(statistics.median(splitting) / seconds, 2),
        "sentencepiece_share": round(statistics.median(tokenizing) / seconds, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
