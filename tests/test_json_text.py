"""The text of sealed files is what the standard library would write, only sooner."""

import json
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.json_text import fields_of, indented, plain

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@dataclass(frozen=True)
class Inner:
    name: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    inners: tuple[Inner, ...]
    by_name: dict[str, Inner | None]


OUTER = Outer((Inner("a", (1, 2)), Inner("b", ())), {"c": Inner("d", (3,)), "e": None})


@given(VALUES)
def test_the_text_is_that_of_the_standard_library(value: object) -> None:
    expected = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    assert indented(value) == expected


def test_dataclasses_are_written_as_their_fields() -> None:
    assert plain(OUTER) == json.loads(json.dumps(asdict(OUTER)))
    assert fields_of(OUTER) == vars(OUTER)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", [Inner]])
def test_what_is_no_value_of_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        plain(value)
