"""Failures of one bug have one signature, whatever the drawn names, numbers and values are."""

from __future__ import annotations

import pytest

from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.harness.store.failure_signature import condition, signature_of


def invalid(checker: str, kind: str, because: str = "") -> Verdict:
    return Verdict(checker, False, (Anomaly(kind, because),))


def test_the_anomaly_of_the_lowest_layer_is_the_signature() -> None:
    verdicts = (
        Verdict("statistics", True),
        invalid("linearizable", "not linearizable"),
        invalid("mvcc", "lost write"),
        invalid("write_path", "applied twice", "n1 applied index 26 at 8.483 s of the trace"),
        invalid("invariants", "violated"),
    )
    found = signature_of(verdicts)
    assert found is not None
    assert found.text == "write_path | applied twice | N applied index #"


def test_a_valid_or_unknown_run_has_no_signature() -> None:
    assert signature_of((Verdict("mvcc", True), Verdict("watch", None))) is None


def test_a_checker_without_a_layer_comes_last() -> None:
    found = signature_of((invalid("set_full", "lost"), invalid("mvcc", "lost write")))
    assert found is not None
    assert found.checker == "mvcc"


@pytest.mark.parametrize(("one", "other"), [
    (
        "n1 answered process 5's txn (if mod revision of r0.1 = 0: put r0.1='5.1'; else: get r0.1)"
        " at 2.955 s, revision 5: succeeded True, expected False, because the comparison (mod"
        " revision of r0.1 = 0) found r0.1='4.1' (create 2, mod 2, version 1)",
        "n3 answered process 37's txn (if value of k010 != '': range [k009, k012); get k006; get"
        " k003; 1 more; else: range [k009, k012)) at 1.633 s, revision 1: succeeded True,"
        " expected False, because the comparison (value of k010 != '') found no key",
    ),
    (
        "8.560955 s: after entry 31, n1 has revision 26, and another member had 25",
        "0.417899 s: after entry 7, n2 has revision 4, and another member had 2",
    ),
    (
        "watcher 5 on n5 (stream 9, [k005, k008) from revision 1 on) received put k005='7.9'"
        " (create 52, version 2) of revision 55 at 2.135 s, which is not in the change log",
        "watcher 1 on n1 (stream 2, all keys from revision 1 on) received delete k1 of revision 5"
        " at 0.135 s, which is not in the change log",
    ),
])
def test_the_condition_does_not_contain_what_was_drawn(one: str, other: str) -> None:
    assert condition(Anomaly("kind", one)) == condition(Anomaly("kind", other))


def test_other_sentences_have_other_conditions() -> None:
    sentences = (
        "n4 voted in term 2 for n4 at 0.266 s and for n2 at 0.309 s",
        "n1 answered process 2's range [k1, k2) at 2.9 s, revision 5: kvs [], expected [k1]",
        "n1 answered process 2's range [k1, k2) at 2.9 s, revision 5: count 1, expected 2",
        "index 7 made revision 2 on n3 and revision 4 on n2: they applied different entries",
    )
    assert len({condition(Anomaly("kind", one)) for one in sentences}) == len(sentences)
