"""trimtab evidence references: asked of a database on this machine, kept, and answered again without it."""

import http.server
import json
import threading

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main

FEED = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">
<o:totalResults>{count}</o:totalResults>{entry}</feed>"""
ENTRY = """<entry><id>http://arxiv.org/abs/2401.00001v1</id><title>Kestrels and the balancing of many experts</title>
<published>2024-01-01T00:00:00Z</published><updated>2024-01-01T00:00:00Z</updated>
<author><name>A. Ångström</name></author><summary>Experts.</summary></entry>"""


@pytest.fixture
def archive(tmp_path):
    """A server that answers as arXiv does, and the file that says where it is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = "2401.00001" in self.path
            body = FEED.format(count=int(known), entry=ENTRY if known else "").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "databases.toml"
        file.write_text(f'[arxiv]\nurl = "http://127.0.0.1:{server.server_port}/api/query"\ninterval_s = 0\n')
        yield file
        server.shutdown()


def test_a_database_says_what_exists_and_its_answers_are_kept(tmp_path, archive):
    paper = tmp_path / "paper.md"
    paper.write_text(
        "# P\n\n## References\n\n"
        "[1] A. Ångström. Kestrels and the balancing of many experts. arXiv:2401.00001, 2024.\n\n"
        "[2] Nobody. A work that does not exist at all. arXiv:2499.99999, 2024.\n"
    )

    def run(*more):
        return CliRunner().invoke(main, ["evidence", "references", str(paper), *more, "--json"])

    bare = run()
    assert (bare.exit_code, {one["word"] for one in json.loads(bare.stdout)}) == (2, {"not looked up"})
    asked = ("--database", "arxiv", "--databases", str(archive), "-o", str(tmp_path / "kept"))
    live = run(*asked)
    assert (live.exit_code, [one["word"] for one in json.loads(live.stdout)]) == (1, ["agrees", "does not exist"])
    assert json.loads(run(*asked, "--offline").stdout) == json.loads(live.stdout)
    assert run("--database", "dblp").exit_code == 2
