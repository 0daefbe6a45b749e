"""Who may ask for what: the rows of the threat table about the network."""

from __future__ import annotations

import re
import socket
import subprocess
import uuid

import httpx
import pytest

from impasto.studio.catalogue import STATIC

from ..cli.commands import command, environment
from .serving import TOKEN, Studio, png, raw, serving

# DNS rebinding


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_our_own_names_are_answered(studio: Studio, name):
    status, _ = raw(studio.port, [b"GET / HTTP/1.1", f"Host: {name}:{studio.port}".encode()])
    assert status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.com",
        "evil.com:{port}",
        "127.0.0.1.evil.com:{port}",
        "localhost.evil.com:{port}",
        "localhost.:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:{other}",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "[::]:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}, evil.com",
        "",
        " ",
    ],
)
def test_other_names_are_refused(studio: Studio, name):
    host = name.format(port=studio.port, other=studio.port + 1)
    status, answer = raw(studio.port, [b"GET / HTTP/1.1", b"Host: " + host.encode()])
    assert status in (400, 403)
    assert b"impasto-token" not in answer


def test_no_name_and_two_names_are_refused(studio: Studio):
    own = f"Host: 127.0.0.1:{studio.port}".encode()
    assert raw(studio.port, [b"GET / HTTP/1.1"])[0] == 400
    assert raw(studio.port, [b"GET / HTTP/1.0"])[0] in (400, 403)
    for second in (b"Host: evil.com", own):
        assert raw(studio.port, [b"GET / HTTP/1.1", own, second])[0] in (400, 403)


# Requests of other sites

CHANGES = ["/api/jobs", "/api/uploads", "/api/samples/woodblock", "/api/session"]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_change_without_the_token_is_refused(studio: Studio, path, kind):
    for origin in (None, studio.base, "null", "http://evil.com"):
        headers = {"content-type": kind} | ({"origin": origin} if origin else {})
        answer = httpx.post(studio.base + path, content=b'{"verb":"filter"}', headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("wrong", ["", "x", "{token}x", "{token} "])
def test_a_wrong_token_is_refused(studio: Studio, wrong):
    token = wrong.format(token=studio.token)
    lines = [b"POST /api/samples/woodblock HTTP/1.1", f"Host: 127.0.0.1:{studio.port}".encode()]
    lines += [b"Content-Length: 0", f"{TOKEN}: {token}".encode()]
    # Blanks at the end belong to the protocol, not to the value.
    assert raw(studio.port, lines)[0] == (201 if token.strip() == studio.token else 403)
    assert raw(studio.port, [*lines, f"{TOKEN}: {studio.token}".encode()])[0] == 403  # two of them


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.com", "https://127.0.0.1:{port}", "http://127.0.0.1:{other}",
     "http://127.0.0.1", "http://localhost:{port}", "http://127.0.0.1:{port}.evil.com", ""],
)  # fmt: skip
def test_another_origin_is_refused_even_with_the_token(studio: Studio, origin):
    value = origin.format(port=studio.port, other=studio.port + 1)
    for path in ("/api/jobs", "/"):
        assert studio.client.get(path, headers={"origin": value}).status_code == 403
    answer = studio.client.post("/api/samples/woodblock", headers={"origin": value})
    assert answer.status_code == 403


def test_our_own_origin_with_the_token_is_answered(studio: Studio):
    headers = {"origin": studio.base, "sec-fetch-site": "same-origin"}
    assert studio.client.post("/api/samples/woodblock", headers=headers).status_code == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_fetches_is_refused(studio: Studio, site):
    for path in ("/", "/api/jobs", "/static/style.css"):
        assert studio.client.get(path, headers={"sec-fetch-site": site}).status_code == 403


def test_nobody_else_is_let_in_by_cors(studio: Studio):
    asked = {"origin": "http://evil.com", "access-control-request-method": "POST"}
    answer = studio.client.options("/api/jobs", headers=asked)
    assert answer.status_code in (403, 405)
    for response in (answer, studio.client.get("/"), studio.client.get("/api/jobs")):
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_reading_changes_nothing(studio: Studio):
    before = studio.client.get("/api/jobs").json()
    known = {job["id"] for job in before["jobs"]} | {str(uuid.uuid4())}
    for job in known:
        for path in ("cancel", "pause", "continue"):
            assert studio.client.get(f"/api/jobs/{job}/{path}").status_code in (404, 405)
    for path in ("/api/samples/woodblock", "/api/session"):
        assert studio.client.get(path).status_code in (404, 405)
    assert studio.client.get("/api/jobs").json() == before


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "OPTIONS"])
def test_other_methods_are_refused(studio: Studio, method):
    host = f"Host: 127.0.0.1:{studio.port}".encode()
    assert raw(studio.port, [f"{method} / HTTP/1.1".encode(), host])[0] in (400, 405)


# Exposure


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "evil.example"])
def test_others_are_not_let_in_without_a_token(host, tmp_path):
    arguments = command("studio", "--host", host, "--port", "0", "--data", str(tmp_path / "s"))
    done = subprocess.run(arguments, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"--token" in done.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("token", ["short", "with a blank inside it", "übermäßig-lang-und-bunt"])
def test_a_weak_token_is_refused(token, tmp_path):
    arguments = command("studio", "--token", token, "--port", "0", "--data", str(tmp_path))
    done = subprocess.run(arguments, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"token" in done.stderr


def test_with_a_token_nothing_can_be_read_without_it(tmp_path):
    secret = "correct-horse-battery"
    with serving(tmp_path, token=secret, host="0.0.0.0") as studio:
        base = studio.base
        door = httpx.get(base + "/")
        assert door.status_code == 200
        assert secret not in door.text
        for path in ("/api/jobs", "/api/catalogue", f"/api/results/{uuid.uuid4()}"):
            assert httpx.get(base + path).status_code == 401
            wrong = {TOKEN: secret[:-1]}
            assert httpx.get(base + path, headers=wrong).status_code == 401
            assert studio.client.get(path).status_code in (200, 404)
        assert httpx.post(base + "/api/session", headers={TOKEN: "x" * 20}).status_code == 403
        with httpx.Client(base_url=base) as other:
            entered = other.post("/api/session", headers={TOKEN: secret})
            cookie = entered.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert other.get("/api/jobs").status_code == 200
            assert secret in other.get("/").text  # the page changes things with it
            assert other.post("/api/samples/woodblock").status_code == 403  # a cookie is not enough


def test_everywhere_means_addresses_not_names(tmp_path):
    secret = "correct-horse-battery"
    with serving(tmp_path, token=secret, host="0.0.0.0", names=["studio.lan"]) as studio:
        for name, status in (
            ("10.1.2.3", 200),
            ("[fe80::1]", 200),
            ("studio.lan", 200),
            ("evil.com", 403),
            ("10.1.2.3.evil.com", 403),
        ):
            host = f"Host: {name}:{studio.port}".encode()
            assert raw(studio.port, [b"GET / HTTP/1.1", host])[0] == status, name


# Injection

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_every_answer_carries_the_policy(studio: Studio):
    for path in ("/", "/api/jobs", "/static/style.css", "/nowhere", "/api/openapi.json"):
        headers = studio.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"


def test_scripts_in_names_come_back_as_text_only(studio: Studio):
    picture = studio.client.post(
        "/api/uploads", params={"name": SCRIPT}, content=png(33, 33, seed=77)
    )
    assert picture.status_code == 201
    assert picture.headers["content-type"] == "application/json"
    assert "/" not in picture.json()["name"]
    refused = studio.client.post("/api/jobs", json={"verb": SCRIPT, "spec": {}})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/json"


def test_the_page_makes_no_markup_from_text():
    scripts = sorted(STATIC.rglob("*.js"))
    assert scripts
    words = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    for path in scripts:
        assert not re.search(words, path.read_text(encoding="utf-8")), path.name


def test_the_page_asks_nobody_else():
    for path in [p for p in STATIC.rglob("*") if p.suffix in (".js", ".css", ".html")]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import url|\son\w+=|style=", text), path.name


# Floods


def test_long_headers_are_refused(studio: Studio):
    host = f"Host: 127.0.0.1:{studio.port}".encode()
    status, _ = raw(studio.port, [b"GET / HTTP/1.1", host, b"X-Long: " + b"a" * 70_000])
    assert status in (400, 431)
    assert studio.client.get("/").status_code == 200


def test_a_body_of_a_gigabyte_is_refused_at_once(studio: Studio):
    lines = [b"POST /api/uploads HTTP/1.1", f"Host: 127.0.0.1:{studio.port}".encode()]
    lines += [f"{TOKEN}: {studio.token}".encode()]
    assert raw(studio.port, [*lines, b"Content-Length: 1000000000"])[0] == 413
    assert raw(studio.port, [*lines, b"Content-Length: -1"])[0] == 400
    assert raw(studio.port, [*lines, b"Content-Length: " + b"9" * 19])[0] == 413


def test_a_body_without_end_is_cut_off(tmp_path):
    with serving(tmp_path, limits={"upload": 200_000}) as studio:
        head = png(40, 40)

        def endless():
            yield head
            for _ in range(1000):
                yield b"\0" * 65_536

        try:
            answer = studio.client.post("/api/uploads", content=endless())
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the server has hung up
        assert studio.client.get("/api/uploads").json() == []
        assert not list((tmp_path / "incoming").iterdir())


def test_slow_clients_are_sent_away_and_hold_nobody_up(tmp_path):
    with serving(tmp_path, limits={"chunk_wait": 0.5}) as studio:
        lines = [b"POST /api/uploads HTTP/1.1", f"Host: 127.0.0.1:{studio.port}".encode()]
        lines += [f"{TOKEN}: {studio.token}".encode(), b"Content-Length: 100000", b"", b""]
        slow = [socket.create_connection(("127.0.0.1", studio.port)) for _ in range(50)]
        for connection in slow:
            connection.sendall(b"\r\n".join(lines) + png()[:100])
        assert studio.upload(png(seed=9))
        for connection in slow:
            connection.settimeout(10)
            assert b" 408 " in connection.recv(100)
            connection.close()
        assert not list((tmp_path / "incoming").iterdir())


def test_deep_json_and_long_json_are_refused(studio: Studio):
    kind = {"content-type": "application/json"}
    for text in ("[" * 100_000, '{"verb":"filter","spec":' + '{"a":' * 50_000, "{", "[1]", "\0"):
        answer = studio.client.post("/api/jobs", content=text.encode(), headers=kind)
        assert answer.status_code in (400, 422), text[:20]
    big = b'{"verb": "filter", "spec": {"name": "' + b"x" * 1_100_000 + b'"}}'
    assert studio.client.post("/api/jobs", content=big, headers=kind).status_code == 413
