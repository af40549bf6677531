"""JSON Web Signatures (RFC 7515) and the public keys that check them, as narrow as Muster needs.

One compact serialisation, four algorithms, each tied to one type of key; the key decides which
algorithm a signature may name, never the signature. Headers that let a signature bring its own
key, or change how it is read, are refused. Imports no Django.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import base64_to_int, urlsafe_b64decode

from governance.kernel import strict_json
from governance.kernel.errors import GovernanceError, Invalid

MAX_LENGTH = 8192
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MIN_RSA_EXPONENT = 65537
MAX_KID_LENGTH = 200
_HEADERS = frozenset({"alg", "kid", "typ"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# `Ed25519` is the name that RFC 9864 gives to what RFC 8037 calls `EdDSA`.
_ALGORITHMS = {
    "OKP": ("EdDSA", "Ed25519"),
    "EC": ("ES256",),
    "RSA": ("RS256", "PS256"),
}
ALGORITHMS = tuple(name for names in _ALGORITHMS.values() for name in names)
_CURVES = {"OKP": "Ed25519", "EC": "P-256"}
_TYPES: dict[str, type[OKPKey] | type[ECKey] | type[RSAKey]] = {
    "OKP": OKPKey,
    "EC": ECKey,
    "RSA": RSAKey,
}

Key = OKPKey | ECKey | RSAKey
SigningKey = OKPKey
Json = dict[str, Any]


class BadSignature(GovernanceError):
    """The signature is not one that Muster accepts."""

    code = "bad_signature"
    status = 401


class BadKey(Invalid):
    """The key is not one that Muster accepts."""

    code = "bad_key"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a checked signature covers."""

    header: Mapping[str, Any]
    payload: bytes

    def claims(self) -> Json:
        """The payload as a JSON object, read strictly. Raises `BadSignature`."""
        return _object(self.payload, "payload")


class _Algorithms(JWSRegistry):
    """The four algorithms. `EdDSA` means Ed25519 alone: the old name also covers Ed448."""

    max_header_length = 1024
    max_payload_length = MAX_LENGTH

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not accepted")
        return self.algorithms["Ed25519" if name == "EdDSA" else name]


_registry = _Algorithms()


def new_key(kid: str) -> SigningKey:
    """A key pair of its own, such as an agent makes that signs its assertions."""
    return OKPKey.generate_key("Ed25519", parameters={"kid": kid})


def public_jwks(key: SigningKey) -> dict[str, Any]:
    """The public half of a key as a set (RFC 7517)."""
    return {"keys": [dict(key.as_dict(private=False))]}


def sign(claims: bytes, *, key: OKPKey, kid: str, typ: str) -> str:
    """`claims` in compact serialisation, signed with Ed25519."""
    return jws.serialize_compact(
        {"alg": "EdDSA", "kid": kid, "typ": typ}, claims, key, registry=_registry
    )


def verify(raw: str, keys: Sequence[Key]) -> Signed:
    """What `raw` covers, if one of `keys` made its signature. Raises `BadSignature`.

    The key is chosen by `kid`; without one, only where there is a single key.
    """
    header = read_header(raw)
    try:
        found = jws.deserialize_compact(raw, _choose(header, keys), registry=_registry)
    except (JoseError, ValueError) as error:
        raise BadSignature("The signature does not verify.") from error
    return Signed(header, found.payload)


def read_unverified(raw: str) -> Json:
    """The claims of `raw` before anything was checked: only good for finding a key."""
    read_header(raw)
    return _object(_decode(raw.split(".")[1]), "payload")


def read_header(raw: str) -> Json:
    """The header of a compact serialisation, if it holds nothing but alg, kid and typ."""
    if len(raw) > MAX_LENGTH or not raw.isascii() or raw.count(".") != 2:
        raise BadSignature("It is not a signed token in compact serialisation.")
    header = _object(_decode(raw.split(".", maxsplit=1)[0]), "header")
    if unknown := sorted(header.keys() - _HEADERS):
        raise BadSignature(f"The header parameter {unknown[0][:40]!r} is not accepted.")
    if any(not isinstance(value, str) for value in header.values()):
        raise BadSignature("Header parameters are strings.")
    if header.get("alg") not in ALGORITHMS:
        raise BadSignature(f"The algorithm is none of {', '.join(ALGORITHMS)}.")
    return header


def import_public_key(jwk: object) -> Key:
    """The public key that `jwk` (RFC 7517) holds. Raises `BadKey`, which says what is wrong."""
    if not isinstance(jwk, dict):
        raise BadKey("A key is a JSON object.")
    _check_members(jwk)
    try:
        if jwk["kty"] == "RSA":
            _check_rsa(base64_to_int(jwk["n"]), base64_to_int(jwk["e"]))
        return _TYPES[jwk["kty"]].import_key(_without_two_names(jwk))
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadKey("The key's numbers do not make a key.") from error


def import_jwks(jwks: object) -> list[Key]:
    """The keys of a JWK Set. One bad key, or two of one `kid`, refuse the whole set."""
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(listed, list):
        raise BadKey('A key set is a JSON object with a list "keys".')
    keys = [import_public_key(jwk) for jwk in listed]
    kids = [key.kid for key in keys]
    if len(set(kids)) != len(kids):
        raise BadKey('Each key of a set needs a "kid" of its own.')
    return keys


def _choose(header: Json, keys: Iterable[Key]) -> Key:
    fitting = [
        key
        for key in keys
        if header["alg"] in _ALGORITHMS[key.key_type]
        and ("kid" not in header or key.kid == header["kid"])
    ]
    if len(fitting) != 1:
        raise BadSignature("No single key fits the signature: send the kid of a known key.")
    return fitting[0]


def _without_two_names(jwk: Json) -> Json:
    """An Ed25519 key's `alg` may be either of two names; its curve says all that it says."""
    return {k: v for k, v in jwk.items() if k != "alg"} if jwk["kty"] == "OKP" else jwk


def _check_members(jwk: Json) -> None:
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _TYPES:
        raise BadKey(f"The key's type (kty) must be one of {', '.join(_TYPES)}.")
    if private := sorted(_PRIVATE & jwk.keys()):
        raise BadKey(f"The key holds private parts ({private[0]}). Send the public key alone.")
    if kty in _CURVES and jwk.get("crv") != _CURVES[kty]:
        raise BadKey(f"The curve (crv) of an {kty} key must be {_CURVES[kty]}.")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or operations != ["verify"]:
        raise BadKey("The key is not meant for signatures (use, key_ops).")
    if jwk.get("alg", _ALGORITHMS[kty][0]) not in _ALGORITHMS[kty]:
        raise BadKey(f"The algorithm (alg) of an {kty} key must be {_ALGORITHMS[kty][0]}.")
    kid = jwk.get("kid", "-")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH or not kid.isprintable():
        raise BadKey(f"The key's id (kid) must be 1 to {MAX_KID_LENGTH} printable characters.")


def _check_rsa(modulus: int, exponent: int) -> None:
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise BadKey(f"An RSA key needs {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.")
    if exponent < MIN_RSA_EXPONENT:
        raise BadKey(f"The exponent (e) of an RSA key must be {MIN_RSA_EXPONENT} or more.")
    if _has_roca(modulus):
        raise BadKey("The key comes from a generator that makes factorable keys (CVE-2017-15361).")


_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime))


_ROCA_RESIDUES = {prime: _powers(prime) for prime in _ROCA_PRIMES}


def _has_roca(modulus: int) -> bool:
    """The fingerprint of CVE-2017-15361: a power of 65537 modulo each of these primes."""
    return all(modulus % prime in powers for prime, powers in _ROCA_RESIDUES.items())


def _decode(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment.encode())
    except ValueError as error:
        raise BadSignature("A part is not base64url.") from error


def _object(raw: bytes, part: str) -> Json:
    try:
        value = strict_json.loads(raw, max_bytes=MAX_LENGTH)
    except strict_json.BadJson as error:
        raise BadSignature(f"The {part} is not JSON.") from error
    if not isinstance(value, dict):
        raise BadSignature(f"The {part} is not a JSON object.")
    return value
