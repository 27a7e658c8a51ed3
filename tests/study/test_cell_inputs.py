from trimtab.study import cell_inputs


def test_benchmarks_that_are_not_here_are_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIMTAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found, absent = cell_inputs.load_benchmarks(("humaneval", "mbpp-pro"))
    assert len(found["humaneval"].problems) == 164
    assert list(absent) == ["mbpp-pro"]
    assert "mbpp_pro.json was not found" in absent["mbpp-pro"]


def test_nulls_are_left_out_at_every_depth():
    table = {"factor": None, "seed": 0, "bias": {"clip": None, "rate": 0.5}, "losses": [1]}
    assert cell_inputs.without_none(table) == {"seed": 0, "bias": {"rate": 0.5}, "losses": [1]}


def test_the_cache_of_a_run_is_its_own_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("TRIMTAB_CACHE", raising=False)
    assert cell_inputs.shared_cache(tmp_path) == tmp_path
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "shared"))
    assert cell_inputs.shared_cache(tmp_path) == tmp_path / "shared"
