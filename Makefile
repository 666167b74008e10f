# Latchward. The two commands that matter: make demo, make test.
GO ?= go

.PHONY: help demo build test race plain lint fuzz bench load soak api clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

demo: build ## Start a sample API behind Latchward, with tokens to try.
	./bin/latchward demo

build: need-go ## Build bin/latchward.
	$(GO) build -trimpath -o bin/latchward ./cmd/latchward

test: need-go need-cc need-chromium need-readers need-npm need-promtool lint race plain ## Run the whole suite: lint, one pass with -race, one without for allocation budgets.
	@echo "All tests passed."

race: need-go need-cc need-chromium need-readers need-npm need-promtool
	$(GO) test -race -tags servers -timeout 20m ./...

plain: need-go need-chromium need-readers need-npm need-promtool
	$(GO) test -tags servers -timeout 20m ./...

lint: need-go
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags servers ./...
	$(GO) mod verify

fuzz: need-go ## Fuzz every parser of outside input for FUZZTIME each (default 30s).
	./scripts/fuzz $(or $(FUZZTIME),30s)

bench: need-go ## Measure what docs/benchmarks.md shows.
	./scripts/bench

load: need-go ## Measure the program over HTTP; needs wrk, and takes some minutes.
	./scripts/load

soak: need-go need-cc need-chromium need-readers need-npm need-promtool ## Run the suite at full scale; takes hours.
	LATCHWARD_SCALE=full $(GO) test -race -tags servers -timeout 12h ./...
	LATCHWARD_SCALE=full $(GO) test -tags servers -timeout 12h ./...

api: need-go ## Write docs/api.txt anew after a wanted change of the public surface.
	$(GO) test -run TestAPI -update-api .

clean: ## Remove what builds made.
	rm -rf bin dist

.PHONY: need-go need-cc need-chromium need-readers need-npm need-promtool
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer from https://go.dev/dl/ and try again."; exit 1; }

# The race detector needs a C compiler.
need-cc:
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || ./scripts/install-cc

# Pages are tested in a browser.
need-chromium:
	@command -v chromium >/dev/null || ./scripts/install-chromium

# Servers whose reading of paths is compared with ours: nginx, Node.js, Python.
need-readers:
	@./scripts/install-readers

# Libraries that SCIM is compared with come by npm.
need-npm:
	@command -v npm >/dev/null || ./scripts/install-npm

# The alert rules are checked by the tool that comes with Prometheus.
need-promtool:
	@command -v promtool >/dev/null || ./scripts/install-promtool
