"""Sealed files are what was written, byte for byte."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import digest
from schemas.errors import DamagedError, DatasetError
from schemas.manifest import TRAIN, Manifest, TableBlock
from tests.manifests import manifest_of

CONTENT = manifest_of().to_json().encode()


def test_what_was_written_is_read() -> None:
    assert Manifest.from_bytes(CONTENT, "m.json") == manifest_of()


@pytest.mark.parametrize(
    "formatted",
    [
        lambda found: json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False),
        lambda found: json.dumps(found) + "\n",
        lambda found: json.dumps(dict(reversed(found.items())), indent=1) + "\n",
        lambda found: "\ufeff" + json.dumps(found, indent=1, sort_keys=True) + "\n",
    ],
)
def test_what_was_formatted_anew_is_refused(formatted: Callable[[dict[str, object]], str]) -> None:
    with pytest.raises(DamagedError, match=r"^m\.json: damaged, or not .*run `blankstream repair`"):
        Manifest.from_bytes(formatted(json.loads(CONTENT)).encode(), "m.json")


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= change
    with pytest.raises(DatasetError, match=r"^m\.json: "):
        Manifest.from_bytes(bytes(damaged), "m.json")


def test_the_shards_of_a_split_are_counted_over_its_blocks() -> None:
    blocks = tuple(TableBlock(*one) for one in (("heldout", 1, 0, 5), ("train", 3, 0, 9)))
    manifest = manifest_of(table_blocks=(*blocks, TableBlock("train", 2, 9, 4)))
    assert [block.rows for block in manifest.blocks_of(TRAIN)] == [9, 4]
    assert manifest.num_shards(TRAIN) == 5


def test_values_nested_too_deep_to_be_written_again_are_damage() -> None:
    nested = "[" * 600 + "]" * 600
    content = json.loads(CONTENT)
    del content["digest"]
    text = json.dumps(content | {"statistics": {"a": json.loads(nested)}})
    sealed = json.loads(text) | {"digest": digest(json.loads(text))}
    with pytest.raises(DamagedError, match=r"^m\.json: damaged, or not .*run `blankstream repair`"):
        Manifest.from_bytes(json.dumps(sealed).encode(), "m.json")
