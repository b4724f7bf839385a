# SPDX-License-Identifier: Apache-2.0
"""The API, asked at random after its own OpenAPI document: whatever comes, each answer is one that the document names, and the relay goes on."""
import random
import ssl

import pytest

from lib.web import Web, administrator, control, on

TEXTS = ["", "a", "x" * 70000, "\u0000", "ü\U0001f600", "' or 1=1 --", "../../etc/passwd", "<script>", "*", "%s%n", "127.0.0.1",
         "a@example.com", "1", "-1", "true", "\r\nX-Y: z", "[", "\\", "mx.example.com"]
ANY = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 63 - 1, 1.5, [], {}, ["a"], {"a": {"b": []}}, *TEXTS]
# What takes the ground from under the others.
LEFT_OUT = {("DELETE", "/v1/session"), ("POST", "/v1/session"), ("POST", "/v1/setup"), ("POST", "/v1/reload"), ("GET", "/v1/events"),
            ("POST", "/v1/account/password"), ("DELETE", "/v1/account/sessions/{id}")}


def value(random, schema):
    if random.random() < 0.15:
        return random.choice(ANY)
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema.get("type")
    return {"string": lambda: random.choice(TEXTS), "integer": lambda: random.choice([0, 1, 10, 2 ** 40]), "boolean": lambda: random.random() < 0.5,
            "array": lambda: [random.choice(TEXTS) for _ in range(random.randrange(3))], "object": lambda: {}}.get(kind, lambda: random.choice(ANY))()


def ask(web, random, method, path, operation):
    arguments, body = {}, None
    for p in operation["parameters"]:
        if p["in"] == "path":
            path = path.replace("{id}", random.choice(["1", "x", "..", "%00", "%ff", "a" * 300, "root", "ABCDEFGHIJK", "%2e%2e%2f"]))
        elif random.random() < 0.4:
            arguments[p["name"]] = value(random, p["schema"])
    for media in operation.get("requestBody", {}).get("content", {}).values():
        names = media["schema"].get("properties", {})
        required = media["schema"].get("required", [])
        body = {n: value(random, s) for n, s in names.items() if random.random() < (0.9 if n in required else 0.3)}
        if random.random() < 0.1:
            body[random.choice(["__proto__", "", "x"])] = random.choice(ANY)
    if method == "GET":
        return web.get(path, **arguments)
    return web.request(method, path, body)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_asked_at_random(postern, seed):
    relay = postern(web=on())
    web = administrator(relay)
    web.keep = True
    admin = relay.pid("admin")
    document = control(relay, "GET", "/v1/openapi.json").json
    chance = random.Random(seed)
    operations = [(m.upper(), p, o) for p, methods in document["paths"].items() for m, o in methods.items() if (m.upper(), p) not in LEFT_OUT]
    for _ in range(8):
        chance.shuffle(operations)
        for method, path, operation in operations:
            try:
                answer = ask(web, chance, method, path, operation)
            except (ssl.SSLEOFError, ConnectionError):  # a server may close a connection that is kept (RFC 9112 §9.3.1); not twice in a row
                web.connection = None
                answer = ask(web, chance, method, path, operation)
            assert str(answer.status) in operation["responses"] or answer.status in (404, 409, 414, 429, 431), (method, path, answer)
            assert answer.status != 401, (method, path, answer)
    assert relay.pid("admin") == admin
    assert Web(relay).get("/v1/health").status == 200
