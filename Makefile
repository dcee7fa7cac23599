# Every target sets itself up: a virtual environment in .venv, Mersey installed there as an
# editable build, and the packages the target needs. PYTHON=/path/to/python chooses another
# interpreter; JOBS=N how many tests run side by side; MERSEY_EXPLORE=1 has property tests try
# other examples than the last time.

VENV := .venv
IN := $(VENV)/bin
STAMPS := $(VENV)/stamps
JOBS ?= 2
PORT ?= 8042
FUZZ_SECONDS ?= 60

NATIVE := $(shell find native -type f)

.DEFAULT_GOAL := help
.PHONY: help demo test test-long fuzz lint bench bench-peers clean

help:
	@echo "make demo       write a sample study, transcode it, serve it and say what to try"
	@echo "make test       the tests (minutes)"
	@echo "make test-long  the tests that kill, fuzz and run for long (up to half an hour)"
	@echo "make fuzz       libFuzzer over the C++ (clang; FUZZ_SECONDS=60 in all)"
	@echo "make lint       ruff, mypy --strict, the layers"
	@echo "make bench      the benchmarks"
	@echo "make bench-peers  the same work by Orthanc, nginx and the codecs' own tools (root, Debian)"
	@echo "make clean      remove what the above have made"

demo: $(STAMPS)/mersey
	$(IN)/python tools/demo.py --port $(PORT) $(DEMO)

test: $(STAMPS)/mersey $(STAMPS)/test
	$(IN)/python -m pytest -m "not long" -n $(JOBS) --dist loadfile $(ARGS)

# pytest ends with 5 where no test is marked long.
test-long: $(STAMPS)/mersey $(STAMPS)/test
	$(IN)/python -m pytest -m long -n $(JOBS) --dist worksteal $(ARGS) || [ $$? -eq 5 ]

# What crashes is left in build/fuzz as TARGET-crash-…; the corpus grows there too.
FUZZ_TARGETS := scan progressive reduce truncate reorder
FUZZ_FLAGS := -std=c++20 -O1 -g -Inative -Wall -Wextra -Wconversion -Wshadow \
  -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_OBJECTS := $(patsubst native/codestream/%.cpp,build/fuzz/%.o,$(filter native/codestream/%.cpp,$(NATIVE)))

fuzz: $(STAMPS)/mersey
	@command -v clang++ >/dev/null || { echo "make fuzz needs clang and its runtime" \
	  "(Debian: apt install clang libclang-rt-14-dev)" >&2; exit 1; }
	@mkdir -p build/fuzz
	@$(MAKE) --no-print-directory -j $(JOBS) $(FUZZ_TARGETS:%=build/fuzz/fuzz_%)
	$(IN)/python native/fuzz/seed_corpus.py build/fuzz/seeds
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p build/fuzz/corpus-$$target; \
	  echo "fuzz_$$target"; \
	  build/fuzz/fuzz_$$target -max_total_time=$$(($(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)))) \
	    -timeout=10 -rss_limit_mb=2048 -max_len=20000 -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/fuzz/$$target- build/fuzz/corpus-$$target build/fuzz/seeds \
	    >build/fuzz/$$target.log 2>&1 || { tail -n 40 build/fuzz/$$target.log; exit 1; }; \
	  grep executed_units build/fuzz/$$target.log; \
	done

build/fuzz/%.o: native/codestream/%.cpp $(NATIVE)
	@clang++ $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

build/fuzz/fuzz_%: native/fuzz/%.cpp $(FUZZ_OBJECTS)
	@clang++ $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_OBJECTS)

lint: $(STAMPS)/mersey $(STAMPS)/test $(STAMPS)/lint
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/mypy
	$(IN)/python -m pytest -q tests/test_layers.py

bench: $(STAMPS)/mersey $(STAMPS)/bench
	$(IN)/python -m pytest bench -o python_files='bench_*.py' -o python_functions='bench_*' $(ARGS)

# They run in a network of their own, and none is left running or enabled.
PEERS := orthanc orthanc-dicomweb orthanc-gdcm nginx-light dcmtk libgdcm-tools libopenjp2-tools \
  openjph-tools grokj2k-tools wrk iproute2

bench-peers: $(STAMPS)/mersey $(STAMPS)/bench $(STAMPS)/peers
	$(IN)/python bench/peers/run.py --json build/peers.json --table build/peers.md \
	  --plot build/peers.svg $(ARGS)

$(STAMPS)/peers: $(STAMPS)/venv
	@[ "$$(id -u)" = 0 ] || { echo "make bench-peers installs Debian packages and makes a network" \
	  "of its own: it needs root" >&2; exit 1; }
	@policy=/usr/sbin/policy-rc.d; made=; \
	if [ ! -e $$policy ]; then printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; made=1; fi; \
	apt-get update -qq >/dev/null; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS) >/dev/null; \
	status=$$?; [ -z "$$made" ] || rm -f $$policy; exit $$status
	@touch $@

clean:
	rm -rf $(VENV) build dist demo .benchmarks .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first interpreter that is Python 3.12 or newer and can make virtual environments.
define FIND_PYTHON
wanted=$$(cat .python-version); \
for python in "$(PYTHON)" "python$$wanted" $$(ls -d "$$HOME"/.pyenv/versions/$$wanted*/bin/python 2>/dev/null) \
    python3.14 python3.13 python3.12 $$(ls -d "$$HOME"/.pyenv/versions/3.1[2-9]*/bin/python 2>/dev/null) \
    python3 python; do \
  [ -n "$$python" ] || continue; \
  "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
    && break; \
  python=; \
done; \
[ -n "$$python" ] || { echo "Mersey needs Python 3.12 or newer with the venv module (Debian: apt install" \
  "python3-venv; or pyenv install $$wanted). Found none; name one: make PYTHON=/path/to/python" >&2; exit 1; }
endef

$(STAMPS)/venv:
	@$(FIND_PYTHON); echo "$$python -m venv $(VENV)"; "$$python" -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# Python sources of an editable build are used in place; only these need a new build.
$(STAMPS)/mersey: $(STAMPS)/venv pyproject.toml $(NATIVE)
	@command -v $${CXX:-c++} >/dev/null || { echo "Mersey needs a C++20 compiler" \
	  "(Debian: apt install g++)" >&2; exit 1; }
	$(IN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

# One of the optional dependencies of pyproject.toml, without building Mersey again.
$(STAMPS)/%: $(STAMPS)/venv pyproject.toml
	@$(IN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$*"], sep="\n")' > $(STAMPS)/$*.txt
	$(IN)/python -m pip install -q --disable-pip-version-check -r $(STAMPS)/$*.txt
	@touch $@
