"""Tokens of an identity provider: a real one over HTTP, with keys made here."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from service.access.options import OidcOptions

if TYPE_CHECKING:
    from tests.service.access.conftest import House, OpenHouse

PATH = "/v1/contact-types"


@dataclass
class Issuer:
    """An identity provider on loopback. `published` are the keys that it tells; `asked` counts how often."""

    address: str = ""
    published: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    def publish(self, kid: str, key: Any, **more: Any) -> None:
        kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        told = json.loads(kind.to_jwk(key.public_key()))
        self.published.append(told | {"kid": kid, "use": "sig"} | more)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            configuration = self.path == "/.well-known/openid-configuration"
            made.asked += not configuration
            told = {"jwks_uri": f"{made.address}/keys"} if configuration else {"keys": made.published}
            content = b"" if made.away else json.dumps(told).encode()
            self.send_response(500 if made.away else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def house(
    open_house: OpenHouse, issuer: Issuer, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey
) -> Iterator[House]:
    issuer.publish("rsa-1", rsa_key)
    issuer.publish("ec-1", ec_key)
    options = OidcOptions(
        issuer=issuer.address,
        audience="triage",
        roles={"support": "agent", "quality": "labeler", "ops": "admin"},
        leeway_seconds=0.0,
        refresh_seconds=0.3,
    )
    with open_house(oidc=options, failures_per_minute=1000) as opened:
        yield opened


def claims(issuer: Issuer, **other: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": issuer.address, "aud": "triage", "sub": "u-1", "iat": now, "exp": now + 60, "roles": ["support"]}
    return {name: value for name, value in (given | other).items() if value is not None}


def test_tokens_signed_with_rsa_and_elliptic_curves_are_taken(
    house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey
) -> None:
    for key, algorithm, kid in ((rsa_key, "RS256", "rsa-1"), (ec_key, "ES256", "ec-1")):
        token = jwt.encode(claims(issuer), key, algorithm=algorithm, headers={"kid": kid})
        assert house.ask("GET", PATH, token).status_code == 200
        assert house.ask("GET", PATH, token).status_code == 200
    assert issuer.asked == 1
    assert house.ask("GET", PATH, house.keys["agent"]).status_code == 200  # keys go on beside them


@pytest.mark.parametrize(
    ("roles", "path", "status"),
    [
        (["support"], "/labels", 403),
        (["support", "quality"], "/labels", 200),
        ("quality other", "/labels", 200),
        (["ops"], "/dashboard", 200),
        (["admin"], PATH, 401),  # not a value that the mapping names
        ([], PATH, 401),
        (None, PATH, 401),
        ([["ops"]], PATH, 401),
    ],
)
def test_the_role_comes_from_the_claim(
    house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey, roles: Any, *, path: str, status: int
) -> None:
    token = jwt.encode(claims(issuer, roles=roles), rsa_key, algorithm="RS256", headers={"kid": "rsa-1"})
    assert house.ask("GET", path, token).status_code == status


def forged(issuer: Issuer, rsa_key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Tokens that must not be taken, by what is wrong with them."""
    public = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kid = {"kid": "rsa-1"}
    wrong: dict[str, Any] = {
        "another audience": {"aud": "other"},
        "another issuer": {"iss": "https://evil.example"},
        "over": {"exp": int(time.time()) - 5},
        "without an end": {"exp": None},
        "not yet": {"nbf": int(time.time()) + 60},
        "of nobody": {"sub": None},
        "without an audience": {"aud": None},
    }
    made = {
        name: jwt.encode(claims(issuer, **change), rsa_key, algorithm="RS256", headers=kid)
        for name, change in wrong.items()
    }
    made["signed by another"] = jwt.encode(claims(issuer), other, algorithm="RS256", headers=kid)
    made["another algorithm of the same key"] = jwt.encode(claims(issuer), rsa_key, algorithm="RS512", headers=kid)
    made["algorithm none"] = jwt.encode(claims(issuer), None, algorithm="none", headers=kid)
    made["without a key id"] = jwt.encode(claims(issuer), rsa_key, algorithm="RS256")
    made["the id of another kind of key"] = jwt.encode(
        claims(issuer), rsa_key, algorithm="RS256", headers={"kid": "ec-1"}
    )
    # PyJWT itself refuses to sign so; an attacker does not.
    head, body = (
        jwt.utils.base64url_encode(json.dumps(part).encode())
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}, claims(issuer))
    )
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    mac = jwt.utils.base64url_encode(signature.sign(head + b"." + body, public))
    made["the public key as an HMAC secret"] = (head + b"." + body + b"." + mac).decode()
    right = jwt.encode(claims(issuer), rsa_key, algorithm="RS256", headers=kid).split(".")
    admin = jwt.encode(claims(issuer, roles=["ops"]), other, algorithm="RS256", headers=kid).split(".")
    made["another's claims"] = ".".join((right[0], admin[1], right[2]))
    made["nonsense"] = "a.b.c"
    return made


def test_forged_tokens_are_refused(house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey) -> None:
    for name, token in forged(issuer, rsa_key).items():
        answer = house.ask("GET", PATH, token)
        assert answer.status_code == 401, name
        assert answer.json()["code"] == "wrong-key"


def test_a_symmetric_key_that_the_provider_tells_signs_nothing(house: House, issuer: Issuer) -> None:
    secret = b"s" * 32
    known = jwt.utils.base64url_encode(secret).decode()
    issuer.published.append({"kty": "oct", "kid": "oct-1", "k": known, "alg": "HS256"})
    token = jwt.encode(claims(issuer), secret, algorithm="HS256", headers={"kid": "oct-1"})
    assert house.ask("GET", PATH, token).status_code == 401


def test_a_new_key_is_fetched_when_a_token_names_it(
    house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey
) -> None:
    first = jwt.encode(claims(issuer), rsa_key, algorithm="RS256", headers={"kid": "rsa-1"})
    assert house.ask("GET", PATH, first).status_code == 200
    issuer.publish("ec-2", ec_key)
    second = jwt.encode(claims(issuer), ec_key, algorithm="ES256", headers={"kid": "ec-2"})
    time.sleep(0.35)
    assert house.ask("GET", PATH, second).status_code == 200
    assert issuer.asked == 2


def test_made_up_key_ids_do_not_make_the_service_ask_again_and_again(
    house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey
) -> None:
    started = time.monotonic()
    for number in range(20):
        token = jwt.encode(claims(issuer), rsa_key, algorithm="RS256", headers={"kid": f"made-up-{number}"})
        assert house.ask("GET", PATH, token).status_code == 401
    assert issuer.asked <= 1 + (time.monotonic() - started) / 0.3


def test_with_the_provider_away_known_keys_go_on(house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey) -> None:
    issuer.away = True
    kid = {"kid": "rsa-1"}
    answer = house.ask("GET", PATH, jwt.encode(claims(issuer), rsa_key, algorithm="RS256", headers=kid))
    assert answer.status_code == 503
    assert answer.json()["code"] == "provider-unavailable"
    assert int(answer.headers["retry-after"]) > 0
    issuer.away = False
    time.sleep(0.35)
    token = jwt.encode(claims(issuer, sub="u-2"), rsa_key, algorithm="RS256", headers=kid)
    assert house.ask("GET", PATH, token).status_code == 200
    issuer.away = True
    time.sleep(0.35)
    another = jwt.encode(claims(issuer, sub="u-3"), rsa_key, algorithm="RS256", headers=kid)
    assert house.ask("GET", PATH, another).status_code == 200


def test_a_token_ends_though_it_was_let_in_a_moment_ago(
    house: House, issuer: Issuer, rsa_key: rsa.RSAPrivateKey
) -> None:
    soon = claims(issuer, exp=int(time.time()) + 2)
    token = jwt.encode(soon, rsa_key, algorithm="RS256", headers={"kid": "rsa-1"})
    assert house.ask("GET", PATH, token).status_code == 200
    time.sleep(2.1)
    assert house.ask("GET", PATH, token).status_code == 401
