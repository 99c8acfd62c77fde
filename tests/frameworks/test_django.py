# SPDX-License-Identifier: BSD-3-Clause
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys

import pytest

from daemon import APPS

APP = "django_site.asgi:application"


def prepare(folder):
    """A database with its tables and a superuser."""
    env = {"DJANGO_DB": str(folder / "db.sqlite3"),
           "DJANGO_SETTINGS_MODULE": "django_site.settings",
           "DJANGO_SUPERUSER_PASSWORD": "pass",
           "PYTHONPATH": ""}
    script = "import django; django.setup()\n" \
        "from django.core.management import call_command as c\n" \
        "c('migrate', run_syncdb=True, verbosity=0)\n" \
        "c('createsuperuser', interactive=False, username='admin'," \
        " email='a@example.org', verbosity=0)\n"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=APPS,
                   env={**os.environ, **env})
    return env


def token(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]


@pytest.fixture
def admin(client):
    """A client that has logged in to the admin."""
    page = client.get("/admin/login/").text
    r = client.post("/admin/login/?next=/admin/", data={
        "username": "admin", "password": "pass", "next": "/admin/",
        "csrfmiddlewaretoken": token(page)})
    assert (r.status_code, r.headers["location"]) == (302, "/admin/")
    return client


def test_views(client):
    for path in "/sync", "/async":
        r = client.get(path)
        assert (r.text, r.headers["content-length"]) == ("Hello, world!", "13")
        r = client.head(path)
        assert (r.content, r.headers["content-length"]) == (b"", "13")
    assert client.get("/thread").json() is False


def test_request(client):
    r = client.get("/meta/a%20b/%C3%A9?x=1&x=2", headers={"cookie": "k=v"})
    assert r.json() == {
        "method": "GET", "path": "/meta/a b/é", "get": {"x": ["1", "2"]},
        "host": f"127.0.0.1:{client.base_url.port}", "remote": "127.0.0.1",
        "secure": False, "cookies": {"k": "v"}}


def test_admin_wants_a_login(client):
    r = client.get("/admin/")
    assert r.status_code == 302
    assert r.headers["location"] == "/admin/login/?next=/admin/"
    page = client.get("/admin/login/").text
    r = client.post("/admin/login/", data={
        "username": "admin", "password": "wrong",
        "csrfmiddlewaretoken": token(page)})
    assert r.status_code == 200
    assert "Please enter the correct username" in r.text


def test_csrf(client):
    client.get("/admin/login/")
    r = client.post("/admin/login/",
                    data={"username": "admin", "password": "pass"})
    assert (r.status_code, "CSRF" in r.text) == (403, True)


def test_admin_adds_changes_and_deletes(admin):
    assert "Notes" in admin.get("/admin/").text
    page = admin.get("/admin/django_site/note/add/").text
    r = admin.post("/admin/django_site/note/add/", data={
        "title": "Ünïcode <b>", "text": "x" * 20000, "_save": "Save",
        "csrfmiddlewaretoken": token(page)})
    assert r.status_code == 302
    page = admin.get("/admin/django_site/note/").text
    assert "was added successfully" in page
    assert "Ünïcode &lt;b&gt;" in page
    key = re.search(r"/admin/django_site/note/(\d+)/change/", page)[1]

    url = f"/admin/django_site/note/{key}/change/"
    page = admin.get(url).text
    assert "x" * 20000 in page
    r = admin.post(url, data={"title": "second", "text": "", "_save": "Save",
                              "csrfmiddlewaretoken": token(page)})
    assert r.status_code == 302
    assert "second" in admin.get("/notes").json()
    for query, found in ("seco", True), ("zzz", False):
        page = admin.get("/admin/django_site/note/?q=" + query).text
        assert (">second</a>" in page) == found

    url = f"/admin/django_site/note/{key}/delete/"
    page = admin.get(url).text
    r = admin.post(url, data={"post": "yes",
                              "csrfmiddlewaretoken": token(page)})
    assert r.status_code == 302
    assert "second" not in admin.get("/notes").json()

    page = admin.get("/admin/").text
    r = admin.post("/admin/logout/",
                   data={"csrfmiddlewaretoken": token(page)})
    assert r.status_code == 200
    assert admin.get("/admin/").status_code == 302


def test_asynchronous_database(client):
    keys = [client.post("/notes/create", data={"title": f"n{i}"}).json()["id"]
            for i in range(10)]
    assert len(set(keys)) == 10
    assert set(client.get("/notes").json()) >= {f"n{i}" for i in range(10)}
    assert client.post("/transaction").json() == 0


def test_sessions(client):
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_upload(client):
    for size in 10, 4 << 20:        # in memory, and in a temporary file
        data = os.urandom(size)
        r = client.post("/upload", files={"file": ("f.bin", data)})
        assert r.json() == {"name": "f.bin", "size": size,
                            "sha256": hashlib.sha256(data).hexdigest()}


def test_streams(server, client):
    for n in 0, 1, 500:
        assert client.get(f"/stream/{n}").text == \
            "".join(f"{i}\n" for i in range(n))
    # a file is a synchronous iterator, and Django says so
    with server.expected("StreamingHttpResponse must consume synchronous"):
        r = client.get("/file")
    with open(os.path.join(APPS, "django_site", "urls.py"), "rb") as f:
        data = f.read()
    assert r.content == data
    assert r.headers["content-length"] == str(len(data))


def test_clients_side_by_side(client):
    def ask(i):
        return client.get("/async" if i % 2 else "/sync").text
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(200))) == {"Hello, world!"}


def test_errors(client):
    # DEBUG is off: Django answers itself and mails nobody
    r = client.get("/crash")
    assert (r.status_code, "Server Error (500)" in r.text) == (500, True)
    assert client.get("/nowhere").status_code == 404
    assert client.get("/admin").status_code == 301
    assert client.get("/async").status_code == 200
