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
            known, crossref = "2401.00001" in self.path, self.path.startswith("/works")
            body = b"no" if crossref else FEED.format(count=int(known), entry=ENTRY if known else "").encode()
            self.send_response(404 if crossref else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = tmp_path / "databases.toml"
        file.write_text(
            f'[arxiv]\nurl = "http://127.0.0.1:{server.server_port}/api/query"\ninterval_s = 0\n'
            f'[crossref]\nurl = "http://127.0.0.1:{server.server_port}/works"\ninterval_s = 0\n'
        )
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


def references(paper, *more):
    result = CliRunner().invoke(main, ["evidence", "references", str(paper), *map(str, more), "--json"])
    return result.exit_code, [(one["word"], *one["reasons"]) for one in json.loads(result.stdout)]


def test_that_a_work_does_not_exist_is_kept_like_any_other_answer(tmp_path, archive):
    paper = tmp_path / "paper.md"
    paper.write_text("# P\n\n## References\n\n[1] Nobody. A work of nobody. doi:10.9999/none, 2020.\n")
    asked = ("--database", "crossref", "--databases", archive, "-o", tmp_path / "kept")
    expected = (1, [("does not exist", "crossref has no work 10.9999/none")])
    assert references(paper, *asked) == expected
    assert references(paper, *asked, "--offline") == expected


def test_who_is_asked_by_numbers_alone_says_nothing_of_a_title(tmp_path, archive):
    paper = tmp_path / "paper.md"
    paper.write_text("# P\n\n## References\n\n[1] Nobody. A work of nobody without any number, 2020.\n")
    code, found = references(paper, "--database", "arxiv", "--databases", archive)
    assert (code, found) == (2, [("not looked up", "no record of it is here; no database was asked about it")])


def test_without_a_network_each_entry_was_not_looked_up(tmp_path, monkeypatch):
    """A port where nobody listens; after it failed once it is not asked again, so this ends soon."""
    monkeypatch.setattr("trimtab.http_client.SystemClock.sleep", lambda _clock, _seconds: None)
    file, paper = tmp_path / "databases.toml", tmp_path / "paper.md"
    file.write_text('[arxiv]\nurl = "http://127.0.0.1:9/api/query"\ninterval_s = 0\n')
    entries = (f"[{n}] A. Roe. Pipes of many bends and the water in them. arXiv:2401.0000{n}, 2024.\n" for n in (1, 2))
    paper.write_text("# P\n\n## References\n\n" + "\n".join(entries))
    code, found = references(paper, "--database", "arxiv", "--databases", file)
    assert code == 2
    assert [word for word, *_ in found] == ["not looked up"] * 2
    assert all("arxiv could not be asked" in why and "tried 5 times" in why for _, why in found)
    assert found[0] == found[1]


def test_a_list_is_not_held_against_itself(tmp_path):
    (tmp_path / "refs.bib").write_text("@misc{a, title={Pipes of many bends}, author={Roe, A.}, year={2024}}")
    code, found = references(tmp_path / "refs.bib", "--sources", tmp_path)
    assert (code, found[0][0]) == (2, "not looked up")
