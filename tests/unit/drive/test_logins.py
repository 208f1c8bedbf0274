"""A client of a run logs in when authentication is enabled or its token is refused."""

from __future__ import annotations

from splitbrain.harness.drive.logins import Logins


def test_a_client_logs_in_when_it_learns_that_authentication_is_enabled() -> None:
    logins = Logins()
    assert not logins.lacks("bob")
    logins.refused("bob", "400 etcdserver: user name is empty")
    assert logins.lacks("bob")
    assert not logins.lacks("")
    logins.learn("bob", "token")
    assert (logins.lacks("bob"), logins.token("bob"), logins.token("eve")) == (False, "token", "")


def test_a_refused_token_is_renewed_and_disabling_ends_all_tokens() -> None:
    logins = Logins()
    logins.learn("bob", "token")
    logins.refused("bob", "401 etcdserver: invalid auth token")
    assert logins.lacks("bob")
    logins.refused("bob", "400 etcdserver: authentication is not enabled")
    assert not logins.lacks("bob")
    assert logins.token("bob") == ""
