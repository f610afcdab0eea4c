# SEAL Gateway. `make` lists the targets; `make demo` and `make test` need only git, make, Node with npm
# and a package registry: they fetch Node 24 by themselves when the machine's is older.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

NODE_MAJOR := $(shell node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
NODE_PACKAGE := node-$(shell uname -s | tr A-Z a-z)-$(shell uname -m | sed -e s/x86_64/x64/ -e s/aarch64/arm64/)
ifeq ($(shell test $(NODE_MAJOR) -ge 24 && echo yes),yes)
  TOOLCHAIN :=
else
  TOOLCHAIN := .toolchain/node_modules/$(NODE_PACKAGE)/bin/node
  export PATH := $(CURDIR)/$(dir $(TOOLCHAIN)):$(PATH)
endif
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

INSTALLED := node_modules/.installed
VITEST := vitest run --config test/vitest.config.ts

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.toolchain/node_modules/%/bin/node:
	@echo "Node 24 is needed; this machine has $(NODE_MAJOR). Fetching $* into .toolchain (only this project uses it)."
	npm install --prefix .toolchain --no-save --no-package-lock --loglevel=error $*@24
	@touch $@

# No package needs its install script: better-sqlite3 brings its binaries, yet npm would compile it from a lock file.
$(INSTALLED): package.json package-lock.json | $(TOOLCHAIN)
	npm ci --ignore-scripts --loglevel=error
	@touch $@

# What runs the gateway alone, a tenth of what the tests need; a full installation serves as well.
RUNTIME := node_modules/.runtime
$(RUNTIME): package.json package-lock.json | $(TOOLCHAIN)
	test -e $(INSTALLED) || npm ci --omit=dev --ignore-scripts --loglevel=error
	@mkdir -p node_modules && touch $@

.PHONY: install
install: $(INSTALLED) ## Install the dependencies (and Node 24 when the machine's is older)

.PHONY: env
env: ## Put `seal-gateway` of this clone into a shell: eval "$(make -s env)"
	@$(MAKE) -s install >&2
	@echo "export SEAL_CLONE='$(CURDIR)'; seal-gateway() { '$$(command -v node)' '$(CURDIR)/src/main.ts' \"\$$@\"; }"

.PHONY: demo
demo: $(RUNTIME) ## A real signed call through the whole pipeline, in a minute
	node examples/crm/demo.ts

.PHONY: test
test: install ## All tests that need nothing but this machine
	$(VITEST)

.PHONY: check
check: install ## Format, lint, types, generated files, tests
	biome check --error-on-warnings .
	tsc -p tsconfig.json
	node src/manifest/generate.ts types --check
	node src/manifest/generate.ts docs --check
	$(VITEST)

.PHONY: format
format: install ## Format the sources and mend what the linter can mend
	biome check --write .

.PHONY: generate
generate: install ## Make the generated files anew: manifest types, and the pages of docs/reference
	node src/manifest/generate.ts types
	node src/manifest/generate.ts docs
	UPDATE=1 $(VITEST) test/house/errors.test.ts test/house/docs.test.ts

.PHONY: build
build: install ## Compile to dist/ for the package and the image
	npm run build

.PHONY: bench
bench: install ## Measure signed calls, a workflow and reconciles beside bare floors; prints tables, writes bench*.json
	node test/bench/invoke.ts
	node test/bench/workflow.ts
	node test/bench/reconcile.ts

.PHONY: image
image: ## Build the container image with Docker or Podman (NODE_IMAGE=... for another base)
	engine=$$(command -v docker || command -v podman); \
	version=$$(node -p 'require("./package.json").version'); \
	case $$engine in */podman) set -- --format docker ;; esac; \
	$$engine build "$$@" $(if $(NODE_IMAGE),--build-arg NODE_IMAGE=$(NODE_IMAGE)) -t "seal-gateway:$$version" .

.PHONY: ci
ci: check ## Everything: checks, tests, demo, the built package as it is installed, long tests at full length
	node examples/crm/demo.ts
	.ci/tools
	SEAL_TEST_FULL=1 $(VITEST) test/e2e examples

.PHONY: clean
clean: ## Remove what was installed and built
	rm -rf node_modules .toolchain dist data bench.json bench.workflow.json bench.reconcile.json
