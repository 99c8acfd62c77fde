# SPDX-License-Identifier: BSD-3-Clause
"""Names of files are bytes: those that are no UTF-8 are used as they are, and
where a text is wanted they do no harm."""
import ast
import json
import os

import pytest

from harness import application, poll
from test_control import Control

# "café" in Latin-1, as Python writes it
NAME = "caf\udce9"
CODE = application('repr((scope["server"], scope["root_path"], '
                   'scope["raw_path"], sys.path[0], __file__)).encode()',
                   head="import sys\n")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_bytes_that_are_no_text(asgid, tmp_path, locale):
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "main.py").write_text(CODE)
    control = str(folder / "control.sock")
    d = asgid(None, "main:app", "--app-dir", folder, "--uds",
              folder / "http.sock", "--root-path", "/" + NAME,
              "-o", "control.socket=" + control,
              "-o", "log.access=%s" % (folder / "access.log"),
              env={"LC_ALL": locale})
    with d.connect(address=str(folder / "http.sock")) as c:
        r = c.request(target="/x")
        assert r.status == 200, r
        server, root_path, raw_path, path, file = ast.literal_eval(r.text)
        assert server == (str(folder / "http.sock"), None)
        assert os.fsencode(server[0]) == os.fsencode(folder / "http.sock")
        assert root_path == "/caf\ufffd" and raw_path == b"/caf\xe9/x"
        assert path == str(folder) and file == str(folder / "main.py")
        # the second is made of what the first left
        assert c.request(target="/x").text == r.text
    log = folder / "access.log"
    poll(lambda: log.read_text().count("\n") == 2, log.read_text)
    lines = log.read_text().splitlines()
    assert all(r"GET /caf\xe9/x HTTP/1.1" in line for line in lines)
    # programs get text all the same
    with Control(control) as c:
        for words in "status", "stats", "workers":
            code, text = c.ask(words + " --json")
            told = json.loads(text)
            if words == "status":
                assert any("caf\ufffd" in url for url in told["listening"])
