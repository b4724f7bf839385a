# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every route of the API's own description with every role, by expectations that are written down here and nowhere else. A route that
is not in this table fails the test: whoever adds one says here who may use it."""
import pytest

from lib.web import Web, control, logged_in, serving

A, O, D, U = "administrator", "operator", "auditor", "user"
ROLES = (A, O, D, U)
EVERYBODY = {A, O, D, U}

OPEN = {"GET /v1/health", "GET /v1/openapi.json", "GET /v1/session", "POST /v1/session", "POST /v1/setup"}

MAY = {
    # one's own account
    "DELETE /v1/session": EVERYBODY,
    "GET /v1/account": EVERYBODY,
    "PATCH /v1/account": EVERYBODY,
    "POST /v1/account/password": EVERYBODY,
    "POST /v1/account/totp": EVERYBODY,
    "PUT /v1/account/totp": EVERYBODY,
    "DELETE /v1/account/totp": EVERYBODY,
    "DELETE /v1/account/sessions/{id}": EVERYBODY,
    "GET /v1/account/tokens": EVERYBODY,
    "POST /v1/account/tokens": EVERYBODY,
    "DELETE /v1/account/tokens/{id}": EVERYBODY,
    # one's own quarantine
    "GET /v1/own/quarantine": {A, U},
    "GET /v1/own/quarantine/{id}": {A, U},
    "POST /v1/own/quarantine/release": {A, U},
    "POST /v1/own/quarantine/delete": {A, U},
    # accounts
    "GET /v1/accounts": {A},
    "POST /v1/accounts": {A},
    "PATCH /v1/accounts/{id}": {A},
    "DELETE /v1/accounts/{id}": {A},
    "POST /v1/accounts/{id}/link": {A},
    "GET /v1/audit": {A, D},
    # those who log in to send
    "GET /v1/users": {A},
    "POST /v1/users": {A},
    "PATCH /v1/users/{id}": {A},
    "DELETE /v1/users/{id}": {A},
    # figures
    "GET /v1/status": {A, O, D},
    "GET /v1/statistics": {A, O, D},
    "GET /v1/dns-lists": {A, O, D},
    "GET /v1/events": {A, O, D},
    "GET /metrics": {A, D},
    # mail
    "GET /v1/queue": {A, O, D},
    "GET /v1/queue/{id}": {A, O, D},
    "GET /v1/queue/groups": {A, O, D},
    "GET /v1/trace": {A, O, D},
    "GET /v1/quarantine": {A, O, D},
    "GET /v1/quarantine/{id}": {A, O, D},
    "GET /v1/quarantine/digest": {A, O, D},
    "POST /v1/explain": {A, O, D},
    "POST /v1/scan": {A, O, D},
    "POST /v1/tls-report/show": {A, O, D},
    # into messages
    "GET /v1/quarantine/{id}/view": {A, O},
    "GET /v1/quarantine/{id}/raw": {A, O},
    # acting on them
    "POST /v1/queue/retry": {A, O},
    "POST /v1/queue/hold": {A, O},
    "POST /v1/queue/release": {A, O},
    "POST /v1/queue/delete": {A, O},
    "POST /v1/quarantine/release": {A, O},
    "POST /v1/quarantine/delete": {A, O},
    "POST /v1/quarantine/train": {A, O},
    "POST /v1/quarantine/digest": {A, O},
    "POST /v1/learn/{id}": {A, O},
    "POST /v1/senders": {A, O},
    # the configuration
    "GET /v1/schema": {A, D},
    "GET /v1/config": {A, D},
    "POST /v1/config/check": {A},  # it reads the files that are named, with root's rights
    "GET /v1/config/history": {A, D},
    "GET /v1/config/diff": {A, D},
    "GET /v1/config/revision": {A, D},
    "GET /v1/keys": {A, D},
    "POST /v1/keys/dkim/check": {A, D},
    "GET /v1/doctor": {A, D},
    "GET /v1/records": {A, D},
    "GET /v1/notices": {A, D},
    "GET /v1/notices/{id}": {A, D},
    "GET /v1/nft": {A, D},
    "GET /v1/tables": {A, D},
    "GET /v1/tables/entries": {A, D},
    "GET /v1/tables/query": {A, D},
    # changing it
    "POST /v1/config/apply": {A},
    "POST /v1/config/rollback": {A},
    "POST /v1/reload": {A},
    "POST /v1/keys/dkim": {A},
    "POST /v1/keys/dkim/rotate": {A},
    "POST /v1/probe": {A},
    "POST /v1/test-message": {A},
    "POST /v1/tables/refresh": {A},
    "POST /v1/tls-report": {A},
    "POST /v1/webhooks/test": {A},
    "POST /v1/import/postfix": {A},
    "POST /v1/backup": {A},
}

# What a token cannot do, whatever its scopes.
NOT_FOR_TOKENS = {
    "DELETE /v1/session", "PATCH /v1/account", "POST /v1/account/password", "POST /v1/account/totp", "PUT /v1/account/totp", "DELETE /v1/account/totp",
    "DELETE /v1/account/sessions/{id}", "GET /v1/account/tokens", "POST /v1/account/tokens", "DELETE /v1/account/tokens/{id}", "POST /v1/backup",
}
SCOPES = ["self", "status", "mail", "content", "change", "senders", "config", "configure", "accounts", "audit", "metrics", "own"]


@pytest.fixture(scope="module")
def relay(module_postern):
    return serving(module_postern)


@pytest.fixture(scope="module")
def routes(relay):
    document = Web(relay).get("/v1/openapi.json").json
    return sorted(f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item)


@pytest.fixture(scope="module")
def people(relay):
    return {role: logged_in(relay, f"the-{role}", role) for role in ROLES}


def ask(web, route):
    """What is not refused is stopped by an argument that no route has: nothing is done."""
    method, path = route.split(" ")
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return web.request(method, path.replace("{id}", "x") + "?no-such-argument=1", body).status


def test_table_is_complete(routes):
    assert set(routes) - OPEN - set(MAY) == set(), "say here who may use these"
    assert (OPEN | set(MAY)) - set(routes) == set(), "these are not there any more"


@pytest.mark.parametrize("role", ROLES)
def test_role(relay, routes, people, role):
    web = Web(relay, keep=True)
    web.cookies, web.csrf = people[role].cookies, people[role].csrf
    wrong = {r: status for r in routes for status in [ask(web, r)] if status != (400 if r in OPEN or role in MAY.get(r, ()) else 403)}
    assert not wrong


def test_nobody(relay, routes):
    stranger = Web(relay, keep=True)
    assert not {r: s for r in routes for s in [ask(stranger, r)] if s != (400 if r in OPEN else 401)}


@pytest.mark.slow
def test_stale_cookie(relay, routes):
    web = Web(relay, keep=True)
    web.cookies["__Host-postern"] = "A" * 43
    assert not {r: s for r in routes for s in [ask(web, r)] if s != (400 if r in OPEN else 401)}


@pytest.mark.slow
def test_token_of_all_scopes(relay, routes, people):
    token = people[A].post("/v1/account/tokens", {"name": "all", "scopes": SCOPES}).json["token"]
    web = Web(relay, token=token, keep=True)
    assert not {r: s for r in routes for s in [ask(web, r)] if s != (403 if r in NOT_FOR_TOKENS else 400)}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.daily(2)
def test_token_of_one_scope(relay, routes, people, scope):
    """An administrator's token with one scope may do what needs this one, and nothing else."""
    document = Web(relay).get("/v1/openapi.json").json
    token = people[A].post("/v1/account/tokens", {"name": scope, "scopes": [scope]}).json["token"]
    web = Web(relay, token=token, keep=True)
    for route in routes:
        method, path = route.split(" ")
        needs = document["paths"][path][method.lower()]["x-right"]
        may = needs == "open" or (needs == scope and route not in NOT_FOR_TOKENS)
        assert ask(web, route) == (400 if may else 403), route


def test_control_socket(relay, routes):
    for route in routes:
        method, path = route.split(" ")
        body = {} if method in ("POST", "PUT", "PATCH") else None
        assert control(relay, method, path.replace("{id}", "x") + "?no-such-argument=1", body).status == 400, route


def test_roles_have_their_rights(people):
    rights = {role: set(web.get("/v1/session").json["rights"]) for role, web in people.items()}
    assert rights[A] == set(SCOPES)
    assert rights[O] == {"self", "status", "mail", "content", "change", "senders"}
    assert rights[D] == {"self", "status", "mail", "config", "audit", "metrics"}
    assert rights[U] == {"self", "own"}


@pytest.mark.parametrize("role", [O, D, U])
def test_no_token_beyond_the_role(people, role):
    mine = people[role].get("/v1/session").json["rights"]
    for scope in SCOPES:
        answer = people[role].post("/v1/account/tokens", {"name": "t", "scopes": [scope]})
        assert answer.status == (200 if scope in mine else 400), scope


def test_refusals_are_in_the_audit_log(people):
    assert people[U].post("/v1/reload").status == 403
    entry = people[A].get("/v1/audit", who="the-user", action="reload").json["entries"][0]
    assert entry["outcome"] == "refused" and entry["role"] == "user" and entry["via"] == "web" and entry["address"] == "127.0.0.1"
