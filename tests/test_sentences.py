"""Splitting: nltk's spans, from parameters that survive a trip through JSON."""

from pathlib import Path

import pytest
from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

from pipeline.sentences import Splitter, load_splitter, train_splitter
from schemas.errors import InputError


def test_a_trained_splitter_gives_the_spans_of_nltk(texts: list[str], splitter: Splitter) -> None:
    trainer = PunktTrainer()
    for text in texts:
        trainer.train(text, finalize=False)
    trainer.finalize_training()
    nltk_tokenizer = PunktSentenceTokenizer(trainer.get_params())
    for text in texts:
        assert splitter.spans(text) == list(nltk_tokenizer.span_tokenize(text))


def test_a_splitter_survives_json_with_the_same_spans_and_digest(
    tmp_path: Path, texts: list[str], splitter: Splitter
) -> None:
    path = tmp_path / "splitter.json"
    path.write_text(splitter.to_json(), encoding="utf-8")
    loaded = load_splitter(path)
    assert loaded.digest == splitter.digest
    assert [loaded.spans(text) for text in texts] == [splitter.spans(text) for text in texts]


def test_training_is_deterministic(texts: list[str], splitter: Splitter) -> None:
    assert train_splitter(texts).digest == splitter.digest


def test_english_is_found_below_nltk_data(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLTK_DATA", str(shared_data / "nltk_data"))
    text = "Dr. Smith paid 3.50 to Mr. Jones in the U.S. last week. He left."
    spans = load_splitter("english").spans(text)
    assert [text[start:stop] for start, stop in spans][-1] == "He left."
    assert len(spans) == 2
    tables = shared_data / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    assert load_splitter(tables).digest == load_splitter("english").digest


def test_an_unknown_splitter_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLTK_DATA", "/nowhere")
    with pytest.raises(InputError, match=r"splitter 'klingon': .*looked in /nowhere/.*klingon"):
        load_splitter("klingon")
    monkeypatch.delenv("NLTK_DATA")
    with pytest.raises(InputError, match="NLTK_DATA is not set"):
        load_splitter("english")


def test_a_file_that_is_no_splitter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splitter.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="it lacks abbreviations"):
        load_splitter(path)
    path.write_text("not json")
    with pytest.raises(InputError, match="not a splitter file"):
        load_splitter(path)
    with pytest.raises(InputError, match="cannot read this Punkt table"):
        load_splitter(tmp_path)
