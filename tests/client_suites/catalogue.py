"""The suites, the packages that they need, and the tests that are left out, each with its reason.

The suites are those of the releases on PyPI, without a change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests in the source distribution `release` of a client.

    `left_out` names the tests that say nothing about the member, with the reason. `sample` is a
    pytest expression that selects a few quick tests of all kinds.
    """

    name: str
    release: str
    requirements: tuple[str, ...]
    tests: str
    carrier: str
    left_out: dict[str, str]
    sample: str


PYTEST = "pytest>=8,<9"

_ETCD3 = "tests/test_etcd3.py"

PYTHON_ETCD3 = Suite(
    name="python-etcd3",
    release="etcd3==0.12.0",
    # The release contains code that an old protoc generated, which needs an old protobuf, and
    # functions in the form that an old tenacity calls.
    requirements=(
        "protobuf==3.20.3", "grpcio>=1.75,<2", "tenacity==6.3.1", "six", "mock", "hypothesis>=6,<7",
        "setuptools<81", PYTEST,
    ),
    tests="tests",
    carrier="gRPC",
    left_out={
        f"{_ETCD3}::TestEtcd3::test_snapshot":
            "`etcdctl snapshot status` reads bbolt, and our snapshot is an LMDB file",
        f"{_ETCD3}::TestClient::test_user_pwd_auth":
            "the test needs the module `etcdrpc`, which does not exist",
    },
    sample="transaction or replace or sort or status or alarm or compact or revision or prev",
)  # fmt: skip

ETCD3GW = Suite(
    name="etcd3gw",
    release="etcd3gw==2.7.0",
    requirements=("oslotest", "urllib3", PYTEST),
    tests="etcd3gw/tests",
    carrier="JSON",
    left_out={},
    sample="not test_watch",
)

SUITES = {suite.name: suite for suite in (PYTHON_ETCD3, ETCD3GW)}
