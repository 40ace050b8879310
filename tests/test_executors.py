"""Executors: an item's own error reaches the caller, and a dead worker is one clear message."""

from pathlib import Path

import pytest

from jobs import executors
from jobs.executors import EXECUTORS, default_executor, run_items
from pipeline.build import BuildContext
from schemas.errors import BlankstreamError, DatasetError
from schemas.plan import Plan, Slice, SourceRange, WorkItem
from tests.corpus import die

ITEM = WorkItem("id", 0, 0, Slice(0, (SourceRange("x.jsonl", 0, 1, "x"),)))


def context_without_tokenizer(folder: Path) -> BuildContext:
    recipe = Plan({"build": {}}).recipe
    return BuildContext(folder, {"x.jsonl": folder / "x.jsonl"}, recipe)


@pytest.mark.parametrize(
    "executor", ["serial", "processes", pytest.param("ray", marks=pytest.mark.ray)]
)
def test_the_error_of_an_item_is_raised_as_it_is(tmp_path: Path, executor: str) -> None:
    context = context_without_tokenizer(tmp_path)
    with pytest.raises(DatasetError, match=r"description\.json: cannot be read"):
        run_items(executor, context, [ITEM], 1, lambda record: None)


@pytest.mark.fault
@pytest.mark.parametrize("executor", ["processes", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_worker_that_dies_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setattr(executors, "build_work_item", die)
    with pytest.raises(BlankstreamError, match=r"a worker process died .* run the same command"):
        run_items(executor, context_without_tokenizer(tmp_path), [ITEM], 1, lambda record: None)


def test_ray_is_the_default_where_it_is_installed() -> None:
    assert default_executor() in EXECUTORS
    assert default_executor() == "ray"
