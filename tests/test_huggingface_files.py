"""Vocabulary files become one canonical tokenizer.json, or are refused with what was expected."""

import json
from pathlib import Path

import pytest

from pipeline.tokens import load_tokenizer
from schemas.build_config import TokenizerConfig
from schemas.errors import InputError
from tests.vocabularies import WRITERS, special, write_json, write_unigram, write_wordpiece


def test_only_word_piece_is_lower_cased_and_only_where_asked(tmp_path: Path) -> None:
    write_wordpiece(tmp_path)
    lower, cased = (
        load_tokenizer(tmp_path, TokenizerConfig(lower_case=asked)) for asked in (True, False)
    )
    assert "[UNK]" not in lower.decode(lower.encode(["Name"])[0])
    assert cased.decode(cased.encode(["Name"])[0]) == "[UNK]"
    assert lower.digest != cased.digest


def test_the_same_file_written_differently_is_the_same_tokenizer(tmp_path: Path) -> None:
    write_unigram(tmp_path)
    path = tmp_path / "tokenizer.json"
    first = load_tokenizer(path).digest
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3), encoding="utf-8")
    assert load_tokenizer(path).digest == first


def test_no_normalizer_uncovers_a_hidden_piece(tmp_path: Path) -> None:
    write_wordpiece(tmp_path)
    content = json.loads(load_tokenizer(tmp_path).files["tokenizer.json"])
    only_ascii = {"type": "Replace", "pattern": {"Regex": "[^ -~]"}, "content": ""}
    content["normalizer"] = only_ascii
    for token in content["added_tokens"]:
        token["normalized"] = True
    (tmp_path / "other.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path / "other.json")
    assert tokenizer.special.mask not in tokenizer.encode(["i do not [MASK] it"])[0]


@pytest.mark.parametrize("name", ["bpe", "wordpiece", "unigram", "words"])
def test_a_model_without_its_type_is_recognised(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    given = load_tokenizer(tmp_path)
    content = json.loads(given.files["tokenizer.json"])
    del content["model"]["type"]
    (tmp_path / "old.json").write_text(json.dumps(content), encoding="utf-8")
    assert load_tokenizer(tmp_path / "old.json").digest == given.digest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.model", "not a model", "bad.model: not a SentencePiece model"),
        ("vocab.txt", "a\nb\n", r"has no piece \[UNK\]"),
        ("tokenizer.json", "{", "is not JSON"),
        ("tokenizer.json", "[]", "expected a JSON object"),
        ("tokenizer.json", "{}", "has no model with a vocabulary"),
        ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {}}}', "library refuses"),
        ("tokenizer.json", '{"model": {"type": 1, "vocab": {"a": "b"}}}', "malformed"),
        ("vocab.json", '{"a": 0}', r"merges.txt: cannot read the tokenizer .*expected a Sent"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path / name)
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x")], ids=repr)
@pytest.mark.parametrize(
    ("writer", "name", "kind"),
    [
        ("words", "tokenizer.json", "tokenizer.json"),
        ("wordpiece", "vocab.txt", "WordPiece vocabulary"),
        ("bpe", "vocab.json", "byte-level BPE vocabulary"),
        ("bpe", "merges.txt", "byte-level BPE vocabulary"),
    ],
)
def test_a_file_that_fails_is_called_what_it_is_taken_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writer: str,
    name: str,
    kind: str,
    error: Exception,
) -> None:
    def fail(*_: object) -> None:
        raise error

    WRITERS[writer](tmp_path)
    monkeypatch.setattr("pipeline.tokens.HuggingFaceTokenizer", fail)
    with pytest.raises(InputError, match=rf"/{name}: (malformed|not a) {kind} \("):
        load_tokenizer(tmp_path / name)


def test_a_model_that_fails_is_no_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    (tmp_path / "a.model").write_bytes(b"")
    monkeypatch.setattr("pipeline.tokens.SentencePieceTokenizer", fail)
    with pytest.raises(InputError, match=r"a\.model: malformed SentencePiece model \(KeyError"):
        load_tokenizer(tmp_path)


def test_merges_and_texts_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("a b c\n")
    with pytest.raises(InputError, match=r"merges\.txt with two pieces in each line"):
        load_tokenizer(tmp_path / "merges.txt")
    (tmp_path / "vocab.json").write_text('{"a": "b"}')
    with pytest.raises(InputError, match=r"vocab\.json with a number for each piece"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"[UNK]\n\xff\n")
    with pytest.raises(InputError, match="is not UTF-8 at byte 6"):
        load_tokenizer(tmp_path / "vocab.txt")


def test_added_tokens_with_ids_that_the_library_would_change_are_refused(tmp_path: Path) -> None:
    vocabulary = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}
    write_json(tmp_path / "tokenizer.json", model=vocabulary, added_tokens=[special("<x>", 9)])
    with pytest.raises(InputError, match=r"added token '<x>' has the id 9 .* gives it 1"):
        load_tokenizer(tmp_path)
