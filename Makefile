# Two commands: `make app` opens the live page, `make test` runs the tests. Either sets everything up first.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8501
ADDRESS ?= localhost
MINUTES ?= 2
PY := $(VENV)/bin/python
# One thread a process: the tests run in two processes, and BLAS threads would only fight over the cores.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# A firm's own certificates live in the system's bundle; where there is none, uv brings its own.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),1,0)

.DEFAULT_GOAL := help
.PHONY: help env app test lint e2e notebooks bench bench-peers calibrate calibrate-real calibrate-dense
.PHONY: calibrate-posterior drill gallery lock

help:  ## list these targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo "  variables: PYTHON=python3.13 chooses the interpreter, VENV=.venv its folder, PORT and ADDRESS where the app listens"

env: $(VENV)/.ready  ## set up only: a virtual environment with exactly what requirements.lock names

# An interpreter that is new enough and can make environments; Debian ships venv apart.
define FIND_PYTHON
new() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
py=; for p in "$(PYTHON)" python3.13 python3.12 python3.11; do if new "$$p"; then py="$$p"; break; fi; done; \
if [ -z "$$py" ]; then \
  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1 | head -1); install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; fi; \
if ! "$$py" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo "-> installing python3-venv, which Debian ships apart from Python"; \
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >/dev/null </dev/null || exit 1; \
  else echo "'$$py' cannot make virtual environments; run: sudo apt-get install python3-venv" >&2; exit 1; fi; fi
endef

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(FIND_PYTHON); \
	if ! "$(PY)" -c 'import pip' >/dev/null 2>&1; then \
	  echo "-> making $(VENV) with $$("$$py" --version)"; "$$py" -m venv --clear "$(VENV)" || exit 1; fi
	@"$(PY)" -m uv --version >/dev/null 2>&1 || { \
	  uv=$$(sed -n 's/^uv\(==[^ ;]*\).*/uv\1/p' requirements.lock); \
	  echo "-> installing $$uv, which installs the rest"; "$(PY)" -m pip install -q --disable-pip-version-check "$$uv"; }
	@echo "-> installing the packages of requirements.lock (the first time this takes a few minutes)"
	@"$(PY)" -m uv pip sync -q --python "$(PY)" --require-hashes requirements.lock
	@echo "-> installing the project itself"
	@"$(PY)" -m uv pip install -q --python "$(PY)" --no-deps --no-build-isolation -e .
	@touch $@
	@echo "-> ready: $(VENV)"

app: env  ## open the live page, in a browser where there is a screen (takes the next free port if 8501 is taken)
	@port=$$("$(PY)" -c "$$FREE_PORT" $(PORT)) || exit 1; \
	[ "$$port" = "$(PORT)" ] || echo "-> port $(PORT) is taken, using $$port"; \
	echo "-> the live page: http://$(ADDRESS):$$port (stop with Ctrl-C)"; \
	headless=true; if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then headless=false; fi; \
	exec "$(PY)" -m streamlit run app.py --server.port "$$port" --server.address "$(ADDRESS)" \
	  --server.headless $$headless --server.showEmailPrompt false --browser.gatherUsageStats false

define FREE_PORT
import socket, sys
first = int(sys.argv[1])
for port in range(first, first + 50):
    with socket.socket() as probe, socket.socket() as other:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if other.connect_ex(('127.0.0.1', port)) == 0:
            continue
        try:
            probe.bind(('', port))
        except OSError:
            continue
        print(port)
        sys.exit()
sys.exit(f'no free port from {first} to {first + 49}; name another: make app PORT=9000')
endef
export FREE_PORT

test: env  ## run the tests (sets up first; slow calibrations apart)
	@$(ONE_THREAD) "$(PY)" -m pytest -q -n 2 -m "not slow" $(ARGS)

lint: env  ## the rest of the gate: ruff, its formatter, pyright
	@failed=0; \
	for tool in "ruff check ." "ruff format --check ." pyright; do \
	  echo "-> $$tool"; "$(PY)" -m $$tool || failed=1; done; exit $$failed

e2e: env  ## open every page in a browser (needs a Chromium)
	@$(ONE_THREAD) "$(PY)" -m pytest -q -m browser -rs tests/e2e $(ARGS)

gallery: env  ## take a picture of every state of the live page, dark and light, into gallery/ (needs a Chromium)
	@$(ONE_THREAD) PYTHONPATH=. "$(PY)" tests/gallery.py $(ARGS)

notebooks: env  ## pair every notebook with its script and execute it (ONLY="01 04")
	@$(ONE_THREAD) PYTHONPATH=. "$(PY)" tests/execute.py $(ONLY)

bench: env  ## measure speed and memory, and print the figures (MINUTES=60: memory over an hour instead of 2 minutes)
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; \
	  $(ONE_THREAD) MINUTES="$(MINUTES)" "$(PY)" "$$bench" || exit 1; done

bench-peers: env  ## ours beside other packages on the same simulated events, resumable (SEEDS=40 ONLY=ours SLOW=1)
	@$(ONE_THREAD) SEEDS="$(SEEDS)" ONLY="$(ONLY)" SLOW="$(SLOW)" PYTHONPATH=.:tests/bench "$(PY)" -m peers
	@$(ONE_THREAD) PYTHONPATH=.:tests/bench "$(PY)" -m peers.errand

calibrate: env  ## error rates and coverage over many simulated worlds, resumable (QUICK=1: at most 10 minutes)
	@$(ONE_THREAD) PYTHONPATH=tests "$(PY)" -m calibrate.run $(if $(QUICK),--quick) $(if $(WORLDS),--worlds $(WORLDS)) \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)
ifndef QUICK
	@$(ONE_THREAD) "$(PY)" -m pytest -q -n 2 -m slow tests; code=$$?; [ $$code = 5 ] || exit $$code
endif

calibrate-real: env  ## error rates on real data, where ../shared/data lies beside the project (resumable)
	@$(ONE_THREAD) PYTHONPATH=. "$(PY)" tests/calibrate/real.py $(ARGS)

calibrate-dense: env  ## dense schedules on simulated weeks and real minutes (resumable; SEEDS=40, CELLS=name,...)
	@$(ONE_THREAD) "$(PY)" tests/calibrate/dense.py

calibrate-posterior: env  ## fast fit against full posterior, and its simulation-based calibration (resumable; MINUTES=30)
	@$(ONE_THREAD) PYTHONPATH=.:tests "$(PY)" -m calibrate.agreement $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)
	@$(ONE_THREAD) PYTHONPATH=.:tests "$(PY)" -m calibrate.sbc $(if $(MINUTES),--minutes $(MINUTES))
	@$(ONE_THREAD) PYTHONPATH=.:tests PLANT=wandering "$(PY)" -m calibrate.sbc $(if $(MINUTES),--minutes $(MINUTES))

drill: env  ## nodes under faults, held to the truth cell by cell (RUNS=100 FIRST=0 KILLS=20; NODES=nats, nats3 or kafka)
	@$(ONE_THREAD) PYTHONPATH=.:tests "$(PY)" -m faults.drill --nodes $(or $(NODES),embedded) --runs $(or $(RUNS),10) --first $(or $(FIRST),0) --kills $(or $(KILLS),20)

lock: env  ## compile requirements.lock anew from pyproject.toml
	"$(PY)" -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 --group dev --all-extras pyproject.toml -o requirements.lock
