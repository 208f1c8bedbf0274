"""Simple tokens end without use, with their user, and with authentication."""

from __future__ import annotations

from random import Random

from splitbrain.node.auth.auth_store import Identity
from splitbrain.node.auth.password import hash_password, matches
from splitbrain.node.auth.tokens import TTL_S, SimpleTokens, new_prefix


def test_a_token_lives_as_long_as_it_is_used() -> None:
    now = [0]
    tokens = SimpleTokens(lambda: now[0])
    token = tokens.assign("abc", 7, "u1")
    assert token == "abc.7"
    for _ in range(3):
        now[0] += int(TTL_S * 1e9) - 1
        assert tokens.identity_of(token, 3) == Identity("u1", 3)
    now[0] += int(TTL_S * 1e9)
    assert tokens.identity_of(token, 3) is None


def test_the_tokens_of_a_changed_user_end() -> None:
    tokens = SimpleTokens(lambda: 0)
    first, second = tokens.assign("a", 1, "u1"), tokens.assign("b", 2, "u2")
    tokens.end_of_user("u1")
    assert tokens.identity_of(first, 3) is None
    assert tokens.identity_of(second, 3) == Identity("u2", 3)
    tokens.end_all()
    assert tokens.identity_of(second, 3) is None


def test_the_index_of_a_token_is_that_of_its_entry() -> None:
    prefix, index_of = new_prefix(Random(1)), SimpleTokens(lambda: 0).index_of
    assert len(prefix) == 16
    assert index_of(f"{prefix}.42") == 42
    assert [index_of(text) for text in ("", "bad", "a.b", "a.", "a.²")] == [0] * 5


def test_a_password_matches_only_its_own_hash() -> None:
    hashed = hash_password("secret", Random(1), 1)
    assert matches("secret", hashed)
    assert not matches("Secret", hashed)
    assert not matches("secret", "")
    assert hashed != hash_password("secret", Random(2), 1)
