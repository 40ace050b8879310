"""Tokenizing: deterministic, sentence by sentence, with special tokens that text cannot spell."""

import itertools
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from pipeline.documents import Document
from pipeline.sentences import Splitter
from pipeline.text import tokenize_documents
from pipeline.tokens import (
    MODEL_NAME,
    PIECES,
    Tokenizer,
    load_tokenizer,
    open_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError, DatasetError, InputError


def test_special_tokens_have_ids_of_their_own(tokenizer: Tokenizer) -> None:
    ids = tokenizer.special.to_mapping()
    assert set(ids) == set(PIECES)
    assert len(set(ids.values())) == len(ids)
    assert max(ids.values()) < tokenizer.vocab_size <= 500


def test_text_that_spells_a_special_token_is_never_one(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode([f"A {piece} here" for piece in PIECES.values()])
    assert not set(ids.tolist()) & set(tokenizer.special.to_mapping().values())


def test_every_sentence_end_is_a_token_boundary(
    texts: list[str], splitter: Splitter, tokenizer: Tokenizer
) -> None:
    documents = [Document(str(n), text, "x", 0, 1) for n, text in enumerate(texts)]
    for found in tokenize_documents(documents, splitter, tokenizer):
        text = found.document.text
        sentences = [text[start:stop] for start, stop in splitter.spans(text)]
        edges = [0, *found.sentence_ends.tolist()]
        pieces = [found.tokens[a:b] for a, b in itertools.pairwise(edges)]
        assert len(pieces) == len(sentences)
        for piece, sentence in zip(pieces, sentences, strict=True):
            np.testing.assert_array_equal(piece, tokenizer.encode([sentence])[0])


def test_decoding_restores_the_normalised_text(
    texts: list[str], splitter: Splitter, tokenizer: Tokenizer
) -> None:
    for text in texts:
        sentences = [text[start:stop] for start, stop in splitter.spans(text)]
        decoded = tokenizer.decode(tokenizer.encode(sentences)[0].tolist())
        normalised = unicodedata.normalize("NFKC", " ".join(sentences))
        assert decoded == " ".join(normalised.split())


def test_training_twice_gives_the_same_model(texts: list[str]) -> None:
    config = TokenizerConfig(vocab_size=400)
    first, second = (train_tokenizer(texts, config) for _ in range(2))
    assert first.digest == second.digest


def test_a_vocabulary_larger_than_the_text_allows_is_cut() -> None:
    sentences = ["a few words only", "words and words"]
    assert train_tokenizer(sentences, TokenizerConfig(vocab_size=5000)).vocab_size < 400


def test_a_sample_without_text_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"build\.tokenizer\.vocab_size=400: .*give more text"):
        train_tokenizer(["\n"], TokenizerConfig(vocab_size=400))


def test_long_lines_take_part_in_training() -> None:
    line = "unusualword " * 2000
    tokenizer = train_tokenizer([line, "another one"], TokenizerConfig(vocab_size=500))
    assert len(tokenizer.encode(["unusualword"])[0]) < 4


def test_a_stored_tokenizer_that_was_changed_is_refused(
    tmp_path: Path, tokenizer: Tokenizer, texts: list[str]
) -> None:
    save_tokenizer(tokenizer, tmp_path, {})
    assert open_tokenizer(tmp_path).digest == tokenizer.digest
    other = train_tokenizer(texts, TokenizerConfig(vocab_size=400))
    (tmp_path / MODEL_NAME).write_bytes(other.model)
    with pytest.raises(DatasetError, match=r"tokenizer\.model: SHA-256 .*expected"):
        open_tokenizer(tmp_path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the tokenizer"):
        load_tokenizer(tmp_path / "missing.model")
    (tmp_path / "bad.model").write_bytes(b"not a model")
    with pytest.raises(InputError, match="not a SentencePiece model"):
        load_tokenizer(tmp_path / "bad.model")


def test_specials_a_model_lacks_get_the_ids_behind_it(shared_data: Path) -> None:
    path = shared_data / "tokenizers" / "glm-chinese" / "cog-pretrain.model"
    tokenizer = load_tokenizer(path)
    ids = tokenizer.special.to_mapping()
    assert tokenizer.vocab_size > 50_000
    assert len(set(ids.values())) == len(ids)
    assert (
        tokenizer.decode([*tokenizer.encode(["北京大学"])[0].tolist(), ids["mask"]]) == "北京大学"
    )


def test_a_fragment_has_the_ids_it_has_inside_its_sentence(tokenizer: Tokenizer) -> None:
    whole = tokenizer.encode(["The name is found."])[0].tolist()
    assert tokenizer.encode_fragment(" The name is found") + tokenizer.encode_fragment(".") == whole
    assert tokenizer.encode_fragment(" ") == []
    assert tokenizer.encode_fragment("") == []
    assert tokenizer.encode_fragment(" .") != tokenizer.encode_fragment(".")


def test_a_vocabulary_too_small_for_the_characters_names_one_that_is_not() -> None:
    texts = [" ".join(chr(0x4E00 + n + 40 * k) for k in range(30)) for n in range(40)] * 3
    with pytest.raises(ConfigError, match=r"vocab_size=2000 or more") as refused:
        train_tokenizer(texts, TokenizerConfig(vocab_size=500))
    assert "1,201 characters" in str(refused.value)
    assert train_tokenizer(texts, TokenizerConfig(vocab_size=2000)).vocab_size <= 2000
