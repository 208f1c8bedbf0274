"""The options of the workload `auth` change how often users, roles and authentication change."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.auth import Auth
from splitbrain.histories.auth import AuthDisable, RoleGrantPermission
from splitbrain.histories.service_operation import AnyRequest


def requests(workload: Auth) -> list[AnyRequest]:
    drafts = itertools.islice(workload.operations(Random(1), client=0), 4_000)
    return [draft.request for draft in drafts if draft.f != "trespass"]


def count(found: list[AnyRequest], kind: type) -> int:
    return sum(isinstance(one, kind) for one in found)


def test_authentication_can_stay_enabled() -> None:
    assert count(requests(Auth()), AuthDisable) > 0
    assert count(requests(Auth(disabling=0)), AuthDisable) == 0


def test_permissions_can_change_seldom() -> None:
    often, seldom = requests(Auth()), requests(Auth(settings_percent=4))
    assert 0 < 10 * count(seldom, RoleGrantPermission) < count(often, RoleGrantPermission)


@pytest.mark.parametrize("options", [{"settings_percent": 0}, {"disabling": 2}])
def test_a_wrong_value_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(BadArguments, match="expected"):
        Auth(**options)
