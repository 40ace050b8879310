"""Configuration: defaults < preset < overrides, with every mistake named and placed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.options import PRESETS, find_preset
from schemas.config import (
    Config,
    differing_keys,
    digest,
    load_config,
    parse_config,
    read_toml,
    to_mapping,
    to_toml,
)
from schemas.errors import ConfigError


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_loads_and_survives_toml(tmp_path: Path, preset: str) -> None:
    config = load_config(find_preset(preset))
    path = tmp_path / "copy.toml"
    path.write_text(to_toml(to_mapping(config)))
    assert load_config(path) == config


def test_overrides_win_over_the_preset_and_it_over_defaults(tmp_path: Path) -> None:
    preset = tmp_path / "p.toml"
    preset.write_text("[build]\nseed = 5\npasses = 2\n")
    config = load_config(preset, ["build.seed=7", "train.peak_lr=1", "build.splitter=english"])
    assert (config.build.seed, config.build.passes, config.build.window_tokens) == (7, 2, 512)
    assert config.train.peak_lr == 1.0
    assert config.build.splitter == "english"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("build.sed=1", r"\[build\]: unknown key 'sed'; did you mean 'seed'\?"),
        ("nonsense.x=1", r"unknown key 'nonsense'; known here: build, model, train"),
        ("build.seed=abc", "'build.seed' must be of type int, not str"),
        ("build.seed=1.5", "must be of type int, not float"),
        ("build.add_cls=1", "must be of type bool, not int"),
        ("build.seed=true", "must be of type int, not bool"),
        ("build.seed=-1", r"'build\.seed' is -1; it must lie in 0 \.\."),
        ("build.heldout_ratio=nan", "must be a finite number"),
        ("build.objective.blank.share=inf", "must be a finite number"),
        ('build.objective."A b".kind="blank"', "lower-case letters, digits and _"),
        ("build.duplicate_ids=maybe", "choose from error, suffix"),
        ("build=3", "'build' must be a section of keys, not int"),
        ("build.seed.x=1", "'build.seed' is a value, not a section"),
        ("build.seed", "expected section.key=value"),
        ("build.objective.new.share=1", r"\[build\.objective\.new\]: lacks the key 'kind'"),
        ("build.objective.blank.share=0", "no objective has a share above 0"),
        ("build.record_batch_rows=4095", "shard_rows=65536 must be a multiple of build.record_b"),
        ("model.hidden_size=100", "must be a multiple of model.num_attention_heads=12"),
        ("train.micro_batch_rows=7", "must be a multiple of train.micro_batch_rows=7"),
        ("train.window_shards=16385", r"'train\.window_shards' is 16385; it must lie in 0 \.\."),
    ],
)
def test_a_mistake_is_named_with_its_place(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, [override])


def test_a_global_order_has_no_windows() -> None:
    with pytest.raises(ConfigError, match=r"train\.window_shards=3 beside train\.order=global"):
        load_config(None, ["train.order=global", "train.window_shards=3"])


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[build.objective.blank]\nkind = "blank"\nmask_ration = 0.2\n')
    with pytest.raises(
        ConfigError,
        match=r"p\.toml \[build\.objective\.blank\]: unknown key 'mask_ration'; did you mean",
    ):
        load_config(path)
    path.write_text("[build\n")
    with pytest.raises(ConfigError, match=r"p\.toml: not valid TOML"):
        read_toml(path)
    with pytest.raises(ConfigError, match="cannot read the configuration: No such file"):
        read_toml(tmp_path / "missing.toml")


@given(
    st.recursive(
        st.one_of(
            st.integers(-(2**62), 2**62), st.booleans(), st.text(st.characters(codec="utf-8"))
        ),
        lambda inner: st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner),
    )
)
def test_equal_content_has_an_equal_digest_whatever_its_order(value: object) -> None:
    def reversed_keys(item: object) -> object:
        if not isinstance(item, dict):
            return item
        return {key: reversed_keys(item[key]) for key in reversed(list(item))}

    assert digest(value) == digest(reversed_keys(value))
    assert differing_keys(value, reversed_keys(value)) == []


def test_differing_keys_are_dotted_and_show_both_values() -> None:
    left, right = {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}
    assert differing_keys(left, right) == ["a.c: 2 -> 3", "d: None -> 4"]


def test_parse_config_is_the_inverse_of_to_mapping() -> None:
    config = load_config(find_preset("tiny"))
    assert parse_config(Config, to_mapping(config), "x") == config


def test_a_preset_extends_another_and_has_its_own_objectives(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        '[build]\nseed = 5\npasses = 2\n[build.objective.a]\nkind = "blank"\n'
    )
    child = tmp_path / "child.toml"
    child.write_text(
        'extends = "base"\n[build]\nseed = 6\n[build.objective.b]\nkind = "document"\n'
    )
    build = load_config(child).build
    assert (build.seed, build.passes, list(build.objective)) == (6, 2, ["b"])
    child.write_text('extends = "base"\n')
    assert list(load_config(child).build.objective) == ["a"]
    child.write_text('extends = "glm-doc"\n')
    assert list(load_config(child, shipped=PRESETS).build.objective) == ["blank", "document"]


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ('"child"', "which extends it in turn"),
        ('"nothing"', r"child\.toml: extends 'nothing', but there is no nothing\.toml in "),
        ('"../base"', "expected the name of a preset beside it"),
        ("3", "expected the name of a preset beside it"),
    ],
)
def test_a_preset_that_cannot_be_extended_is_named(
    tmp_path: Path, extends: str, message: str
) -> None:
    child = tmp_path / "child.toml"
    child.write_text(f"extends = {extends}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(child)
