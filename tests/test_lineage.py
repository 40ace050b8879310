"""Lineage: every sample on disk restores the tokens of its document, under every objective."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.build import BuildRequest, build_dataset
from jobs.summary import build_summary
from pipeline.assemble import Rules
from pipeline.dataset import open_dataset
from pipeline.document_table import read_documents_table
from pipeline.objectives import IN_PLACE, OBJECTIVES
from pipeline.packing import decode_row
from pipeline.readers.reads import Document
from pipeline.stores.local import LocalStore
from pipeline.text import tokenize_documents
from pipeline.tools import Tools, load_tools
from schemas.build_config import BuildConfig, ObjectiveConfig, TokenizerConfig
from schemas.names import record_name_of
from schemas.objectives import IGNORE_INDEX
from schemas.plan import Plan
from schemas.record import ItemRecord
from schemas.samples import Sample
from tests.corpus import NoProgress, small_config, the_file

WORDS = "The quick brown fox jumps over the lazy dog. It barks! Does the fox care? Not at all. "

MIXTURES: dict[str, dict[str, Any]] = {
    "glm": {
        "objective": {
            "blank": ObjectiveConfig(kind="blank", noise_ratio=0.2, single_span_ratio=0.3),
            "document": ObjectiveConfig(kind="document", mask="gmask", random_positions=True),
            "prefix": ObjectiveConfig(kind="prefix", mask="gmask"),
            "sentence": ObjectiveConfig(kind="sentence", mask="smask"),
            "instruction": ObjectiveConfig(kind="instruction", mask="gmask"),
        },
        "short_window_ratio": 0.2,
    },
    "baselines": {
        "objective": {
            "bert": ObjectiveConfig(kind="masked_tokens", replace_ratio=0.8, random_ratio=0.1),
            "gpt": ObjectiveConfig(kind="causal_lm"),
            "prefix_lm": ObjectiveConfig(kind="prefix_lm"),
            "spanbert": ObjectiveConfig(kind="masked_lm", span_lengths="geometric"),
            "t5": ObjectiveConfig(kind="sentinel_spans"),
        },
        "tokenizer": TokenizerConfig(vocab_size=500, sample_characters=50_000, sentinels=20),
    },
    "glm130b": {
        "objective": {
            "prefix": ObjectiveConfig(kind="prefix", share=0.7, mask="gmask", min_span_ratio=0.2),
            "blank": ObjectiveConfig(kind="blank", share=0.3, samples_per_window=4),
        },
        "mix_by": "tokens",
        "sentinels": True,
        "block_positions": False,
        "tokenizer": TokenizerConfig(vocab_size=500, sample_characters=50_000, sentinels=20),
    },
}


def write_corpus(path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"id": f"long-{n}", "text": f"Number {n}. " + WORDS * (n + 3)} for n in range(12)
    ]
    records += [{"id": f"short-{n}", "text": f"word {n}"} for n in range(40)]
    records += [{"id": f"p-{n}", "prompt": WORDS * n, "text": WORDS * 5} for n in range(6)]
    records += [
        {"id": f"i-{n}", "prompt": f"Q{n}: {WORDS * (n % 7)}", "completion": "Yes. " * (n * 4 + 1)}
        for n in range(14)
    ]
    records += [{"id": "i-one", "prompt": "", "completion": "a"}, {"id": "one", "text": "a"}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture(scope="module", params=sorted(MIXTURES))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    write_corpus(folder / "text.jsonl")
    config = small_config(item_bytes=1 << 20, passes=2, **MIXTURES[request.param])
    request_ = BuildRequest(config, [folder / "text.jsonl"], folder / "d", "serial", 1)
    build_dataset(request_, NoProgress())
    return folder / "d"


def tools_of(dataset: Path) -> Tools:
    plan = Plan.from_json((dataset / "plan.json").read_text(), "plan.json")
    return load_tools(str(dataset), json.dumps(plan.recipe, sort_keys=True))


def samples_of(dataset: Path, split: str) -> Iterator[tuple[str, Sample, list[int]]]:
    """(document id, sample, origin) of every sample of a split."""
    opened = open_dataset(dataset)
    reader = opened.reader(split)
    for row in range(opened.num_rows(split)):
        values = reader.gather(np.array([row]))[0]
        entry, _, origin = reader.origin(row)
        name = record_name_of(entry.pass_number, entry.slice, entry.item)
        record = ItemRecord.from_json((dataset / name).read_text(), name)
        documents = read_documents_table(LocalStore(dataset), record.documents)
        ids = documents.column("id").to_pylist()
        for number, sample in enumerate(decode_row(values, opened.row_format)):
            place = origin[:, number].tolist()
            yield ids[place[0]], sample, place
    reader.close()


def tokens_by_id(dataset: Path, tools: Tools) -> dict[str, tuple[np.ndarray, int]]:
    """Tokens of each document with the length of its prompt, from the corpus itself."""
    documents = []
    for line in (dataset.parent / "text.jsonl").read_text().splitlines():
        record = json.loads(line)
        text = record.get("text", record.get("completion"))
        documents.append(Document(record["id"], text, "", 0, 0, record.get("prompt", "")))
    found = {}
    for batch in tokenize_documents(documents, tools.splitter, tools.tokenizer):
        for number, document in enumerate(batch.documents):
            tokens = batch.tokens[batch.edges[number] : batch.edges[number + 1]]
            found[document.id] = (tokens, int(batch.prompts[number]))
    return found


def test_every_sample_restores_the_tokens_of_its_document(built: Path) -> None:
    tools = tools_of(built)
    known, special = tokens_by_id(built, tools), tools.tokenizer.special
    seen = set()
    for split in ("train", "heldout"):
        for name, sample, (_, _, start, stop) in samples_of(built, split):
            rules: Rules = tools.rules[sample.objective - 1]
            form = OBJECTIVES[rules.objective.kind].form
            tokens, spans = form.restore(sample, rules)
            document, prompt = known[name]
            expected = [special.cls, *document[start:stop].tolist(), special.eos]
            assert tokens.tolist() == expected, (name, rules.objective.kind)
            assert form is IN_PLACE or min(spans).start >= 1 + max(0, prompt - start)
            assert (sample.labels != IGNORE_INDEX).any()
            seen.add(rules.objective.kind)
    assert seen == {rules.objective.kind for rules in tools.rules}


def test_every_token_of_text_is_in_some_sample_of_its_pass_or_counted(built: Path) -> None:
    tools = tools_of(built)
    known = tokens_by_id(built, tools)
    counts = open_dataset(built).manifest.counts
    covered: dict[str, np.ndarray] = {}
    for name, _, (_, _, start, stop) in samples_of(built, "train"):
        covered.setdefault(name, np.zeros(len(known[name][0]), int))[start:stop] += 1
    heldout = {name for name, _, _ in samples_of(built, "heldout")}
    lost = 0
    for name, (tokens, prompt) in known.items():
        if name in heldout:
            continue
        times = covered.get(name, np.zeros(len(tokens), int))
        assert set(times.tolist()) <= {0, 2}
        lost += int((times[prompt:] == 0).sum())
    reported = counts.get("train.completion_tokens.dropped.too_long", 0)
    reported += counts.get("train.tokens.dropped.too_short", 0)
    assert reported == 2 * lost


def test_samples_of_the_second_pass_differ_and_the_first_pass_stays(
    built: Path, tmp_path: Path
) -> None:
    plan = Plan.from_json((built / "plan.json").read_text(), "plan.json")
    name = built.parent.name.rstrip("0123456789")
    config = small_config(item_bytes=1 << 20, passes=1, **MIXTURES[name])
    assert isinstance(config, BuildConfig)
    request = BuildRequest(config, [built.parent / "text.jsonl"], tmp_path / "d", "serial", 1)
    build_dataset(request, NoProgress())
    again = Plan.from_json((tmp_path / "d" / "plan.json").read_text(), "plan.json")
    assert again.recipe == plan.recipe
    first = sorted((tmp_path / "d" / "shards").rglob("*.arrow"))
    assert first
    for shard in first:
        twin = built / shard.relative_to(tmp_path / "d")
        assert twin.read_bytes() == shard.read_bytes()
        if "pass-0000" in twin.parts:
            same_shard = f"shards/train/pass-0001/*/{twin.name.rpartition('-')[0]}-*.arrow"
            assert the_file(built, same_shard).read_bytes() != shard.read_bytes()


def test_tokens_that_the_vocabulary_does_not_know_are_counted_and_shown(tmp_path: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "fox", "##es", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (tmp_path / "text.txt").write_text("The foxes sleep. The fox sleeps. " * 40)
    tokenizer = TokenizerConfig(path=str(tmp_path / "vocab.txt"))
    config = small_config(tokenizer=tokenizer, heldout_ratio=0.0)
    request = BuildRequest(config, [tmp_path / "text.txt"], tmp_path / "d", "serial", 1)
    manifest = build_dataset(request, NoProgress())
    assert manifest.counts["documents.tokens"] == 40 * 9
    assert manifest.counts["documents.tokens.unknown"] == 40 * 2
    assert "unknown to the tokenizer: 80 tokens, 22.2% of the text's" in build_summary(
        tmp_path, manifest
    )
