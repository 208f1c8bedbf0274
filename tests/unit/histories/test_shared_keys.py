"""Equal keys of a history are one object in memory, and the decoded values are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.synthetic.generator import Recipe, generate_file
from splitbrain.histories import reader, shared_keys
from splitbrain.histories.history import History
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.pairing import pair_events
from splitbrain.histories.reader import read_events
from splitbrain.histories.shared_keys import SharedKeyDecoder
from splitbrain.histories.sidecar import read_members


@pytest.fixture(autouse=True)
def no_file_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_keys, "SMALL_BYTES", 0)


def lines(*keys: str) -> bytes:
    return b"".join(msgspec.json.encode({"key": key}) + b"\n" for key in keys)


def decoded(decoder: SharedKeyDecoder[KeyValue], *keys: str) -> list[str]:
    return [one.key for one in decoder.decode_lines(lines(*keys))]


def new_decoder() -> SharedKeyDecoder[KeyValue]:
    return SharedKeyDecoder(KeyValue)


def test_equal_keys_are_one_object() -> None:
    decoder = new_decoder()
    first, again, other = decoded(decoder, "key one", "key one", "key two")
    (later,) = decoded(decoder, "key one")
    assert (first, other) == ("key one", "key two")
    assert first is again is later


def test_a_block_with_new_keys_is_decoded_and_its_keys_are_shared() -> None:
    decoder = new_decoder()
    (first,) = decoded(decoder, "key one")
    new, old = decoded(decoder, "key two", "key one")
    assert new == "key two"
    assert old is decoded(decoder, "key one")[0]
    assert new is decoded(decoder, "key two")[0]
    assert first == old


def test_the_first_blocks_are_decoded_without_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_keys, "SMALL_BYTES", 2 * len(lines("key one")))
    decoder = new_decoder()
    decoded_keys = [decoded(decoder, "key one")[0] for _ in range(4)]
    assert decoded_keys == ["key one"] * 4
    assert len({id(key) for key in decoded_keys}) == 3


@pytest.mark.parametrize("key", ['a "quoted" key', "a\\b", "ключ", "\0", "\n", "", '","key":"'])
def test_any_text_can_be_a_key(key: str) -> None:
    one, two = decoded(new_decoder(), key, key)
    assert one == key
    assert one is two


def test_too_many_keys_are_decoded_without_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_keys, "KEYS_MAX", 3)
    decoder = new_decoder()
    keys = [f"key {number}" for number in range(5)]
    assert decoded(decoder, *keys) == keys
    assert decoded(decoder, *keys) == keys


def test_blocks_that_always_have_new_keys_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_keys, "BLOCKS_MAX", 3)
    decoder = new_decoder()
    for number in range(10):
        assert decoded(decoder, f"key {number}", "same") == [f"key {number}", "same"]


@pytest.mark.parametrize("line", [b'{"key":1}', b'{"key":"a","no":1}', b'{"value":"a"}', b"{"])
def test_an_invalid_line_raises_an_error(line: bytes) -> None:
    decoder = new_decoder()
    for _ in range(2):
        with pytest.raises(msgspec.MsgspecError):
            decoder.decode_lines(line + b"\n")
        assert decoded(decoder, "key one") == ["key one"]


def test_the_operations_of_a_file_are_those_of_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 4_000)
    path = tmp_path / "kv.jsonl"
    generate_file(path, Recipe("kv", 2_000, 8, uncertain=0.05, failing=0.0, seed=3, members=1))
    history = History.read(path)
    assert list(history.operations) == pair_events(read_events(path))[0]
    keys = [one.key for op in history.operations for one in _key_values(op.result)]
    keys += [change.key for member in read_members(path) for change in member.changes]
    shared = {id(key) for key in keys}
    assert len(keys) > 1_000
    assert len(shared) <= 4 * len(set(keys))


def _key_values(result: object) -> Iterator[KeyValue]:
    yield from getattr(result, "kvs", ())
