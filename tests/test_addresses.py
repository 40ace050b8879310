"""The address of a cluster: a wrong one is told before anything is read."""

import pytest

from jobs.executors.addresses import check_address
from jobs.executors.choice import ADDRESS_VARIABLE
from schemas.errors import UserError

NOBODY = "127.0.0.1:1"


@pytest.mark.ray
@pytest.mark.parametrize("is_variable", [False, True])
def test_a_cluster_that_does_not_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, is_variable: bool
) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    if is_variable:
        monkeypatch.setenv(ADDRESS_VARIABLE, NOBODY)
    with pytest.raises(UserError, match=rf"no Ray cluster answers at '{NOBODY}'"):
        check_address("ray", "" if is_variable else NOBODY)


@pytest.mark.parametrize(("executor", "address"), [("serial", NOBODY), ("ray", "local")])
def test_nothing_is_asked_where_no_cluster_is_meant(
    monkeypatch: pytest.MonkeyPatch, executor: str, address: str
) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    check_address(executor, address)
    check_address("ray", "")
