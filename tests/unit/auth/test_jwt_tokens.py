"""JSON Web Tokens: each method signs and verifies, and nothing but a valid token is accepted."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from splitbrain.node.auth.auth_store import Identity
from splitbrain.node.auth.jwt_tokens import JwtTokens
from splitbrain.node.config import ConfigError, parse_auth_token
from splitbrain.node.jwt_settings import METHODS, JwtSettings, load_keys
from splitbrain.node.messages.errors import RpcError

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA, OTHER_RSA = (rsa.generate_private_key(65537, 1024 + 256) for _ in range(2))
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
EC: dict[str, Private] = {
    method: ec.generate_private_key(curve) for method, curve in CURVES.items()
}
SECRET = b"secret" * 11
HS = JwtSettings("HS256", SECRET)


def private_pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_pem(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def settings(method: str, *, private: bool = True) -> JwtSettings:
    if method.startswith("HS"):
        return JwtSettings(method, SECRET)
    key: Private = EC.get(method, RSA)
    return JwtSettings(method, private_pem(key) if private else b"", public_pem(key))


def tokens(one: JwtSettings, now_s: float = 1000.0) -> JwtTokens:
    return JwtTokens(one, lambda: int(now_s * 1e9))


@pytest.mark.parametrize("method", METHODS)
def test_a_member_with_the_public_key_verifies_what_another_signs(method: str) -> None:
    token = tokens(settings(method)).signed("u1", 7)
    verifier = tokens(settings(method, private=False))
    assert verifier.identity_of(token, 9) == Identity("u1", 7)
    changed = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    assert verifier.identity_of(changed, 9) is None


def test_the_claims_are_etcds() -> None:
    token = tokens(HS).signed("u1", 7)
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "username": "u1", "revision": 7, "exp": 1300,
    }
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_a_token_is_valid_until_its_time_by_the_members_clock() -> None:
    token = tokens(HS).signed("u1", 7)
    assert tokens(HS, 1299.9).identity_of(token, 7) is not None
    assert tokens(HS, 1300.0).identity_of(token, 7) is None
    early = jwt.encode({"username": "u1", "revision": 7, "nbf": 2000}, SECRET, "HS256")
    assert tokens(HS).identity_of(early, 7) is None


@pytest.mark.parametrize(
    "token",
    [
        "", "abc.1", "a.b.c",
        jwt.encode({"username": "u1", "revision": 7}, "", "none"),
        jwt.encode({"username": "u1", "revision": 7}, SECRET, "HS384"),
        jwt.encode({"username": "u1", "revision": 7}, b"another" * 9, "HS256"),
        jwt.encode({"username": 1, "revision": 7}, SECRET, "HS256"),
        jwt.encode({"username": "u1"}, SECRET, "HS256"),
    ],
)
def test_anything_else_is_refused(token: str) -> None:
    assert tokens(HS).identity_of(token, 7) is None


def test_the_public_key_is_no_secret() -> None:
    """A token must not be verified by the method that it names itself (RFC 8725, 2.1)."""
    forged = jwt.api_jws.PyJWS().encode(b'{"username":"root","revision":9}', b"x" * 64, "HS256")
    assert tokens(settings("RS256")).identity_of(forged, 7) is None


def test_a_member_without_a_private_key_signs_nothing() -> None:
    with pytest.raises(RpcError, match="verify-only key"):
        tokens(settings("RS256", private=False)).signed("u1", 7)


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (JwtSettings("RS256", private_pem(RSA), public_pem(OTHER_RSA)), "not the public key"),
        (JwtSettings("RS256", b"nothing"), "cannot be used for RS256"),
        (JwtSettings("ES256", private_pem(RSA)), "cannot be used for ES256"),
    ],
)
def test_keys_that_do_not_fit_are_refused(one: JwtSettings, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        load_keys(one)


def test_the_flag_names_files_method_and_time() -> None:
    found = parse_auth_token(
        "jwt,sign-method=RS256,priv-key=a,pub-key=b,ttl=1m30s", lambda path: path.encode()
    )
    assert found == JwtSettings("RS256", b"a", b"b", 90_000)
    assert parse_auth_token("simple", lambda path: b"") is None
    assert "secret" not in repr(HS)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("simple,x=1", "expected simple, or jwt"),
        ("bearer", "expected simple, or jwt"),
        ("jwt", "sign-method is ''; expected one of HS256"),
        ("jwt,sign-method=none", "expected one of HS256"),
        ("jwt,sign-method=HS256", "needs a key; expected priv-key=FILE"),
        ("jwt,sign-method=RS256", "expected priv-key=FILE or pub-key=FILE"),
        ("jwt,method=RS256", "is not an option of jwt"),
        ("jwt,sign-method=HS256,priv-key=a,ttl=5", "expected a duration"),
    ],
)
def test_a_wrong_flag_is_refused(flag: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parse_auth_token(flag, lambda path: b"x")
