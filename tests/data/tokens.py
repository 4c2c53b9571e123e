#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tokens.json: tokens that are valid at one moment, and tokens that are not, each with the words
that refuse it. It shares nothing with the code under test; `openssl` signs with Ed25519.

tokens.py [FILE]: writes it there, or to standard output.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import sys
import tempfile

NOW = 1_800_000_000
DAY = 24 * 60 * 60
EXP = NOW + 3600


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def secret(kid, size):
    return hashlib.shake_256(kid.encode()).digest(size)


# RFC 7515, A.1 and RFC 8037, A.4: signatures that others have made.
RFC7515_KEY = ("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
RFC7515 = ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9"
           "leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
RFC8037_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC8037_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC8037 = ("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d"
           "WbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")

SECRETS = {"k1": secret("k1", 32), "k-2": secret("k-2", 33), "K_3": secret("K_3", 64)}
LINES = {kid: f"{kid}:{b64(raw)}" for kid, raw in SECRETS.items()}
LINES["rfc7515"] = f"rfc7515:{RFC7515_KEY}"
LINES["e1"] = f"e1:ed25519:{RFC8037_PUBLIC}"
KEYS = "# made by tokens.py\n\n" + "\n".join(LINES.values()) + "\n"


def mac(raw, text):
    return b64(hmac.digest(raw, text.encode(), "sha256"))


def ed25519(text):
    """What the key e1 signs."""
    der = bytes.fromhex("302e020100300506032b657004220420") + base64.urlsafe_b64decode(RFC8037_SEED + "=")
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder, "key")
        message = pathlib.Path(folder, "message")
        key.write_bytes(der)
        message.write_bytes(text.encode())
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-keyform", "DER", "-rawin", "-in",
                               message], check=True, capture_output=True).stdout


def session_token(payload, kid="k1", raw=None):
    """payload: an object, a text, or bytes."""
    if isinstance(payload, dict):
        payload = compact(payload)
    if isinstance(payload, str):
        payload = payload.encode()
    head = f"v1.{kid}.{b64(payload)}"
    return f"{head}.{mac(raw or SECRETS[kid], head)}"


def signed(head, kid="k1"):
    return f"{head}.{mac(SECRETS[kid], head)}"


def jwt_head(claims, header):
    as_text = [part if isinstance(part, str) else compact(part) for part in (header, claims)]
    return ".".join(b64(text.encode()) for text in as_text)


def hs256(claims, header=None, kid="k1"):
    return signed(jwt_head(claims, header or {"alg": "HS256", "kid": kid, "typ": "JWT"}), kid)


def eddsa(claims, header=None):
    head = jwt_head(claims, header or {"alg": "EdDSA", "kid": "e1", "typ": "JWT"})
    return f"{head}.{b64(ed25519(head))}"


def payload(**members):
    """That of a good token, with these members in place of its own. None: without it."""
    all_members = {"exp": EXP, "n": "chat/42", "r": "r", **members}
    return {name: value for name, value in sorted(all_members.items()) if value is not None}


def claims(**members):
    grant = members.pop("sponson", {"n": "chat/42", "r": "rw"})
    return {name: value for name, value in {"exp": EXP, "sponson": grant, **members}.items() if value is not None}


def changed(token, at, character):
    """The token with another character there."""
    assert token[at] != character
    return token[:at] + character + (token[at + 1:] if at != -1 else "")


def good_session_tokens():
    """name, members, kid"""
    yield "one session, read", payload(), "k1"
    yield "all rights", payload(r="rwdl"), "k1"
    yield "rights in another order", payload(r="lw"), "k1"
    yield "a prefix", payload(n=None, p="users/7/"), "k-2"
    yield "every session", payload(n=None, p="", r="rl"), "K_3"
    yield "one second left", payload(exp=NOW + 1), "k1"
    yield "24 hours", payload(exp=NOW + DAY), "k-2"
    yield "quotes, a backslash, less-than", payload(n='a "b" \\ <c>&\'d\''), "k1"
    yield "other alphabets", payload(n="réunion/会議/🚢"), "K_3"
    yield "the longest name", payload(n="n" * 255), "k1"
    yield "what SQL and shells read", payload(n="a'; $(b) %41 +%2F"), "k-2"


def good():
    for name, members, kid in good_session_tokens():
        made = session_token(members, kid)
        row = {"name": name, "kind": "session", "line": LINES[kid], "token": made}
        yield {**row, **grant_of(members["exp"], members)}
    other = session_token('{ "r" : "r" , "p":"a\\/" ,"exp": %d }\n' % EXP)
    yield {"name": "another writer's JSON", "kind": "written", "token": other, "exp": EXP, "rights": "r", "p": "a/"}
    escaped = session_token('{"exp":%d,"n":"\\u00e9\\ud83d\\udea2","r":"r"}' % EXP)
    yield {"name": "escapes", "kind": "written", "token": escaped, "exp": EXP, "rights": "r", "n": "é🚢"}
    for name, made in {
        "HS256": hs256(claims()),
        "EdDSA": eddsa(claims()),
        "HS256 without kid and typ": hs256(claims(), {"alg": "HS256"}, "K_3"),
        "EdDSA without kid": eddsa(claims(), {"alg": "EdDSA", "typ": "jwt"}),
        "other claims": hs256(claims(iss="app", sub="7", iat=NOW, jti="x", scope=["a", {"b": 1.5}])),
        "nbf now": hs256(claims(nbf=NOW)),
        "nbf within the leeway": hs256(claims(nbf=NOW + 60)),
        "aud": hs256(claims(aud="sponson")),
        "aud in a list": hs256(claims(aud=["app", "sponson"])),
        "a header that names other keys": hs256(claims(), {"alg": "HS256", "jwk": {"kty": "oct", "k": ""},
                                                           "jku": "http://a/", "x5u": "http://a/"}),
    }.items():
        yield {"name": name, "kind": "jwt", "token": made, **grant_of(EXP, claims()["sponson"])}


def grant_of(exp, members):
    place = "p" if "p" in members else "n"
    return {"exp": exp, "rights": members["r"], place: members[place]}


SHAPE = "it is not a token"
SIGNATURE = "its signature is wrong"
UNKNOWN = "its key is not known"
NOT_JSON = "its payload is not a JSON object, or has a member twice"
NOT_BASE64 = "its payload is not base64url without padding"
NO_KEY_FITS = "no key fits its signature"
ALG = "its alg is not that of its key"
EXPIRY = "exp is not a whole number of seconds"
FAR = "exp is more than 24 hours ahead"
EXPIRED = "it has expired"
UNKNOWN_MEMBER = "there is a member that is not known"
LETTERS = "rights are letters of rwdl"
BAD_NAME = "the session is not 1-255 bytes of UTF-8 without control characters"
BAD_PREFIX = "the prefix is not up to 255 bytes of UTF-8 without control characters"


def bad_shapes():
    token = session_token(payload())
    kid_and_payload = token.rsplit(".", 1)[0]
    yield "empty", "", SHAPE
    yield "a word", "token", SHAPE
    yield "dots", "...", SHAPE
    yield "v1 and dots", "v1...", SHAPE
    yield "v1 alone", "v1.", SHAPE
    yield "no kid", "v1.." + token.split(".", 2)[2], SHAPE
    yield "no payload", "v1.k1." + "." + token.rsplit(".", 1)[1], SHAPE
    yield "no MAC", kid_and_payload + ".", SHAPE
    yield "a part is missing", kid_and_payload, SHAPE
    yield "a dot at the end", token + ".", SHAPE
    yield "two dots at the end", token + "..", SHAPE
    yield "a dot at the beginning", "." + token, SHAPE
    yield "a part too many", token.replace(".k1.", ".k1.k1."), SHAPE
    yield "another version", "v2" + token[2:], SHAPE
    yield "V1", "V1" + token[2:], SHAPE
    yield "longer than 4,096", session_token("x" * 3100), "it is longer than 4,096 bytes"
    yield "a space before", " " + token, SHAPE
    yield "a space after", token + " ", SIGNATURE
    yield "a line end after", token + "\n", SIGNATURE
    yield "a NUL after", token + "\0", SIGNATURE
    yield "two parts", "a.b", SHAPE
    yield "five parts", "a.b.c.d.e", SHAPE


def bad_signatures():
    token = session_token(payload())
    yield "unknown kid", session_token(payload(), "k9", SECRETS["k1"]), UNKNOWN
    yield "kid in other letters", session_token(payload(), "K1", SECRETS["k1"]), UNKNOWN
    yield "kid and a NUL", session_token(payload(), "k1\0", SECRETS["k1"]), UNKNOWN
    yield "half a kid", session_token(payload(), "k", SECRETS["k1"]), UNKNOWN
    yield "the kid of a public key", session_token(payload(), "e1", base64.urlsafe_b64decode(RFC8037_PUBLIC + "=")), \
        UNKNOWN
    yield "another key's MAC", session_token(payload(), "k1", SECRETS["k-2"]), SIGNATURE
    yield "an empty key's MAC", session_token(payload(), "k1", b"\0"), SIGNATURE
    yield "first bit of the MAC", changed(token, token.rindex(".") + 1, "A"), SIGNATURE
    yield "last character of the MAC", changed(token, -1, "A"), SIGNATURE
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = last[last.index(token[-1]) ^ 1]
    yield "bits of the MAC that belong to no byte", changed(token, -1, sibling), SIGNATURE
    yield "a MAC with padding", token + "=", SIGNATURE
    yield "a short MAC", token[:-1], SIGNATURE
    yield "a MAC of one character", token[:-42], SIGNATURE
    yield "a long MAC", token + "A", SIGNATURE
    wide = next(made for made in (session_token(payload(exp=EXP + i)) for i in range(99)) if "-" in made[-43:])
    yield "a MAC in the other base64", wide[:-43] + wide[-43:].replace("-", "+"), SIGNATURE
    yield "another payload", token.replace(b64(compact(payload()).encode()), b64(compact(payload(r="w")).encode())), \
        SIGNATURE
    yield "the payload's MAC alone", "v1.k1.%s.%s" % (token.split(".")[2], mac(SECRETS["k1"], token.split(".")[2])), \
        SIGNATURE
    yield "an Ed25519 signature", token.rsplit(".", 1)[0] + "." + b64(ed25519(token.rsplit(".", 1)[0])), SIGNATURE


def bad_payloads():
    text = compact(payload())
    padded = base64.urlsafe_b64encode((text + "  ").encode()).decode()
    padded = padded if padded.endswith("=") else base64.urlsafe_b64encode((text + " ").encode()).decode()
    assert padded.endswith("=")
    yield "a payload with padding", signed(f"v1.k1.{padded}"), NOT_BASE64
    loose = padded.rstrip("=")
    yield "bits that belong to no byte", signed("v1.k1." + loose[:-1] + chr(ord(loose[-1]) + 1)), NOT_BASE64
    yield "the other base64", signed("v1.k1." + b64(text.encode())[:-1] + "+"), NOT_BASE64
    yield "a space in it", signed("v1.k1. " + b64(text.encode())), NOT_BASE64
    yield "one character", signed("v1.k1.A"), NOT_BASE64
    for name, raw in {
        "not JSON": "hello",
        "a list": "[1]",
        "a number": "1",
        "null": "null",
        "JSON and more": text + "x",
        "two objects": text + text,
        "a NUL after the object": text + "\0",
        "a byte order mark": "\ufeff" + text,
        "exp twice": text[:-1] + ',"exp":%d}' % EXP,
        "n twice": text[:-1] + ',"n":"chat/42"}',
        "r twice, once escaped": text[:-1] + ',"\\u0072":"w"}',
        "invalid UTF-8": text.encode().replace(b"chat", b"ch\xff\xfe"),
        "half a surrogate": text.replace("chat", "\\ud800"),
        "a NUL in the name": text.replace("chat", "\\u0000"),
        "exp above 64 bits": text.replace(str(EXP), "99999999999999999999"),
        "deep": "[" * 2500,
        "a comment": text + "// x",
        "a trailing comma": text[:-1] + ",}",
    }.items():
        yield name, session_token(raw), NOT_JSON


def bad_expiries():
    yield "no exp", session_token(payload(exp=None)), "exp is missing"
    yield "an empty object", session_token("{}"), "exp is missing"
    yield "exp now", session_token(payload(exp=NOW)), EXPIRED
    yield "exp a second ago", session_token(payload(exp=NOW - 1)), EXPIRED
    yield "exp 0", session_token(payload(exp=0)), EXPIRED
    yield "exp -0", session_token(compact(payload()).replace(str(EXP), "-0")), EXPIRED
    yield "exp negative", session_token(payload(exp=-1)), EXPIRY
    yield "exp the smallest", session_token(payload(exp=-2**63)), EXPIRY
    yield "exp a float", session_token(payload(exp=EXP + 0.5)), EXPIRY
    yield "exp a whole float", session_token(payload(exp=float(EXP))), EXPIRY
    yield "exp with an exponent", session_token(compact(payload()).replace(str(EXP), "18e8")), EXPIRY
    yield "exp a string", session_token(payload(exp=str(EXP))), EXPIRY
    yield "exp true", session_token(payload(exp=True)), EXPIRY
    yield "exp null", session_token(compact(payload()).replace(str(EXP), "null")), EXPIRY
    yield "exp in milliseconds", session_token(payload(exp=EXP * 1000)), FAR
    yield "exp over 24 hours", session_token(payload(exp=NOW + DAY + 1)), FAR
    yield "exp the largest", session_token(payload(exp=2**63 - 1)), FAR


def bad_grants():
    for name, members, why in (
        ("no rights", payload(r=None), "r is missing"),
        ("rights empty", payload(r=""), "there are no rights"),
        ("rights a list", payload(r=["r"]), "r is not a string"),
        ("rights a number", payload(r=1), "r is not a string"),
        ("a right twice", payload(r="rr"), "a right is there twice"),
        ("a right that is not known", payload(r="rx"), LETTERS),
        ("rights in capitals", payload(r="R"), LETTERS),
        ("rights with a comma", payload(r="r,w"), LETTERS),
        ("neither n nor p", payload(n=None), "n or p is missing"),
        ("both n and p", payload(p="chat/"), "both n and p are there"),
        ("both n and an empty p", payload(p=""), "both n and p are there"),
        ("n empty", payload(n=""), BAD_NAME),
        ("n a number", payload(n=42), "n is not a string"),
        ("n a list", payload(n=["chat/42"]), "n is not a string"),
        ("n of 256 bytes", payload(n="n" * 256), BAD_NAME),
        ("n with a line end", payload(n="a\nb"), BAD_NAME),
        ("n with a C1 control", payload(n="a\u0085b"), BAD_NAME),
        ("p without a slash", payload(n=None, p="chat"), "the prefix does not end in /"),
        ("p with a slash in the middle", payload(n=None, p="a/b"), "the prefix does not end in /"),
        ("p a boolean", payload(n=None, p=True), "p is not a string"),
        ("p too long", payload(n=None, p="p" * 255 + "/"), BAD_PREFIX),
        ("p with a control character", payload(n=None, p="a\x01/"), BAD_PREFIX),
        ("a member that is not known", payload(nbf=NOW), UNKNOWN_MEMBER),
    ):
        yield name, session_token(members), why


def bad_jwts():
    header = {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    head = jwt_head(claims(), header)
    none = jwt_head(claims(), {"alg": "none"})
    public = base64.urlsafe_b64decode(RFC8037_PUBLIC + "=")
    confused = jwt_head(claims(), {"alg": "HS256", "kid": "e1"})
    yield "RFC 7515, A.1", RFC7515, EXPIRED
    yield "RFC 8037, A.4", RFC8037, "its claims are not a JSON object, or have a member twice"
    yield "alg none without signature", none + ".", SHAPE
    yield "alg none with something", none + ".AAAA", NO_KEY_FITS
    yield "alg none, signed", hs256(claims(), {"alg": "none"}), ALG
    yield "alg NONE, signed", hs256(claims(), {"alg": "NONE"}), ALG
    yield "HS256 with the bytes of a public key", f"{confused}.{mac(public, confused)}", NO_KEY_FITS
    yield "HS256 with the text of a public key", f"{confused}.{mac(RFC8037_PUBLIC.encode(), confused)}", NO_KEY_FITS
    yield "alg EdDSA, signed with a secret", hs256(claims(), {"alg": "EdDSA", "kid": "k1"}), ALG
    yield "alg HS256, signed with Ed25519", eddsa(claims(), {"alg": "HS256", "kid": "e1"}), ALG
    yield "alg hs256", hs256(claims(), {"alg": "hs256"}), ALG
    yield "alg HS512", hs256(claims(), {"alg": "HS512"}), ALG
    yield "alg Ed25519", eddsa(claims(), {"alg": "Ed25519"}), ALG
    yield "no alg", hs256(claims(), {"kid": "k1"}), ALG
    yield "alg a list", hs256(claims(), {"alg": ["HS256"]}), ALG
    yield "alg twice", hs256(claims(), '{"alg":"HS256","alg":"HS256"}'), \
        "its header is not a JSON object, or has a member twice"
    yield "header a list", hs256(claims(), '["HS256"]'), "its header is not a JSON object, or has a member twice"
    yield "crit", hs256(claims(), {**header, "crit": ["exp"]}), "crit is not supported"
    yield "crit empty", hs256(claims(), {**header, "crit": []}), "crit is not supported"
    yield "another kid", hs256(claims(), {**header, "kid": "k-2"}), "its kid is not that of its key"
    yield "kid a number", hs256(claims(), {**header, "kid": 1}), "its kid is not that of its key"
    yield "another typ", hs256(claims(), {**header, "typ": "secevent+jwt"}), "its typ is not JWT"
    yield "typ a number", hs256(claims(), {**header, "typ": 1}), "its typ is not JWT"
    yield "header with padding", signed(b64(b'{"alg":"HS256"} ') + "==." + head.split(".")[1]), \
        "its header is not base64url without padding"
    yield "claims with padding", signed(head + "="), "its claims are not base64url without padding"
    made = eddsa(claims())
    yield "an Ed25519 signature with padding", made + "==", NO_KEY_FITS
    yield "another Ed25519 signature", changed(made, -5, "A" if made[-5] != "A" else "B"), NO_KEY_FITS
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield "bits of a signature that belong to no byte", changed(made, -1, digits[digits.index(made[-1]) | 1]), NO_KEY_FITS
    raw = ed25519(made.rsplit(".", 1)[0])
    order = 2**252 + 27742317777372353535851937790883648493
    larger = int.from_bytes(raw[32:], "little") + order
    yield "a signature with S above the order", made.rsplit(".", 1)[0] + "." + \
        b64(raw[:32] + larger.to_bytes(32, "little")), NO_KEY_FITS
    yield "a signature of zeros", made.rsplit(".", 1)[0] + "." + b64(bytes(64)), NO_KEY_FITS
    yield "a dot after a JWT", made + ".", SHAPE
    yield "five parts, as of JWE", ".".join([head, head, made.rsplit(".", 1)[1]]), SHAPE
    for name, members, why in (
        ("no exp", claims(exp=None), "exp is missing"),
        ("exp a float", claims(exp=EXP + 0.5), EXPIRY),
        ("expired", claims(exp=NOW), EXPIRED),
        ("exp far ahead", claims(exp=NOW + DAY + 1), FAR),
        ("nbf ahead", claims(nbf=NOW + 61), "it is not valid yet"),
        ("nbf a string", claims(nbf="now"), "nbf is not a whole number of seconds"),
        ("nbf the largest", claims(nbf=2**63 - 1), "it is not valid yet"),
        ("aud of another", claims(aud="app"), "aud does not name sponson"),
        ("aud a list of others", claims(aud=["app", 1]), "aud does not name sponson"),
        ("aud empty", claims(aud=[]), "aud does not name sponson"),
        ("no claim", claims(sponson=None), "the claim sponson is missing"),
        ("the claim is a string", claims(sponson="r"), "the claim sponson is not an object"),
        ("rights outside of the claim", claims(sponson={"n": "a"}, r="r"), "r is missing"),
        ("both n and p", claims(sponson={"n": "a", "p": "a/", "r": "r"}), "both n and p are there"),
        ("p without a slash", claims(sponson={"p": "a", "r": "r"}), "the prefix does not end in /"),
        ("exp in the claim", claims(sponson={"n": "a", "r": "r", "exp": EXP}), UNKNOWN_MEMBER),
    ):
        yield "JWT, " + name, hs256(members), why
    yield "JWT, the claim twice", hs256(compact(claims())[:-1] + ',"sponson":{"p":"","r":"rwdl"}}'), \
        "its claims are not a JSON object, or have a member twice"


def bad():
    for rows in (bad_shapes, bad_signatures, bad_payloads, bad_expiries, bad_grants, bad_jwts):
        for name, token, why in rows():
            yield {"name": name, "token": token, "why": why}


def text():
    lines = [f'"about":{compact("made by tokens.py; the keys are for tests alone")}', f'"now":{NOW}',
             f'"keys":{compact(KEYS)}']
    for name, rows in (("good", good()), ("bad", bad())):
        lines.append(f'"{name}":[\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).write_text(text())
    else:
        sys.stdout.write(text())
