# Every habit. `make` alone says what there is.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# whose lap is shown, and what is planted: make demo MODEL=digits DRIFT=rotation
MODEL ?= flights
.DEFAULT_GOAL := help
.PHONY: help install demo test e2e check format lock generate proto bench bench-serving bench-monitoring clean distclean

help:  ## say what there is
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install:  ## put everything into .venv and .venv-airflow (pinned, checked by hash)
	@$(PYTHON) -m services.embedded.install

demo: install  ## run the platform and one lap before your eyes; ONCE=1: one lap, then stop
	@$(BIN)/python -m services.embedded.demo --model $(MODEL) $(if $(DRIFT),--drift $(DRIFT)) $(if $(filter-out 0,$(ONCE)),--once)

test: install  ## all tests, but those of the containers; two at a time
	@$(BIN)/python -m pytest --ignore=tests/stack -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

e2e: install  ## the stack in containers, from nothing, where there is a Docker engine
	@$(BIN)/python -m pytest tests/stack $(ARGS)

check: install  ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/contract/test_rooms.py

format: install  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## resolve the dependencies anew into locks/
	@$(PYTHON) -m services.embedded.lock

generate: install  ## make dashboards and the rules' limits anew from their code and the policies
	@$(BIN)/python -m grafana
	@$(BIN)/python -m pipelines.alert_limits

proto: install  ## make the Python of serving's gRPC messages anew
	@$(BIN)/python -m services.serving.grpc.generate

bench: install  ## where a lap's time goes
	@$(BIN)/python -m services.embedded.bench --model $(MODEL)

bench-serving: install  ## how fast serving is beside a bare HTTP server and its peers
	@$(BIN)/python -m tests.load $(ARGS)

bench-monitoring: install  ## how fast ten million predictions are judged, beside stock Evidently
	@$(BIN)/python -m tests.bench.monitoring $(ARGS)

clean:  ## forget all state; stops a running platform first
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m services.embedded forget; fi

distclean: clean  ## and the environments
	rm -rf .venv .venv-airflow .venv-uv .mypy_cache .pytest_cache .ruff_cache
