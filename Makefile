# x0x: run `make help` for the list of targets.
export GOTOOLCHAIN := go1.27.3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION := $(shell sed -n 's/^const Version = "\(.*\)"/\1/p' core/x0x/doc.go)
PREFIX ?= /usr/local
PYTHON ?= python3
B := .build
LIB := $(B)/lib/libx0x.so
VENV := $(B)/venv

# The library runs on any glibc from 2.17: oldglibc.h binds the few symbols that moved later.
# Its checksum stands in the flags, since Go's build cache does not look into it.
CGO_FLAGS := -O2 -g -include $(CURDIR)/capi/oldglibc.h -DX0X_OLDGLIBC=$(shell cksum < capi/oldglibc.h | cut -d' ' -f1)
GO_BUILD_LIB = CGO_ENABLED=1 CGO_CFLAGS="$(CGO_FLAGS)" CGO_LDFLAGS="-Wl,--no-as-needed -l:libpthread.so.0" \
	go build -buildmode=c-shared -trimpath -tags netgo,osusergo$(1) \
	-ldflags "-s -w -extldflags=-Wl,--version-script=$(CURDIR)/capi/x0x.map"

GO_SOURCES := $(shell find core capi -name '*.go' -not -name '*_test.go' -not -path '*/testdata/*') capi/abi.c capi/abi.h capi/x0x.map capi/oldglibc.h include/x0x.h go.mod go.sum

.PHONY: help build demo test fuzz sim soak bench bench-check generate wheel npm-pack install clean long

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: $(LIB) ## the shared library, .build/lib/libx0x.so
demo: ## four processes in Go, C, Python and Node find each other and talk
	@.ci/demo

test: ## everything that CI runs, with the time of each part
	@.ci/test

fuzz: ## every fuzz target for 60 s (FUZZTIME=… to change)
	@.ci/fuzz $${FUZZTIME:-60s}

long: ## the long versions: spinner, faults, every Go test ten times
	@.ci/long

soak: ## 30 minutes of 50 messages of 4 KB a second; the memory curve in .build/soak.csv (SOAK=… to change)
	@mkdir -p .build && go test -tags overlay -count=1 -timeout 2h -v -run '^TestSoak$$' ./core/x0x -soak.for=$${SOAK:-30m} -soak.report=$(CURDIR)/.build/soak.csv

sim: ## the overlay simulated with up to 10,000 nodes; tables and plots in .build/sim (SIM=… nodes)
	@mkdir -p .build/sim && go test -timeout 0 -run '^TestSimReport$$' -v ./core/gossip -sim.nodes $${SIM:-10000} -sim.report $(CURDIR)/.build/sim

bench: ## JSON lines of every benchmark beside its raw layer
	@.ci/bench

bench-check: ## the same, and fails where a ratio misses its target
	@.ci/bench --check

generate: ## the tables that come from include/x0x.h
	go run ./core/internal/cmd/x0xheader

$(LIB): $(GO_SOURCES)
	mkdir -p $(@D)
	$(call GO_BUILD_LIB,) -o $@ ./capi
	rm -f $(@D)/libx0x.h

# The same library with the method that panics on purpose.
$(B)/test/libx0x.so: $(GO_SOURCES)
	mkdir -p $(@D)
	$(call GO_BUILD_LIB,$(comma)x0x_test_panic) -o $@ ./capi
	rm -f $(@D)/libx0x.h
comma := ,

install: $(LIB) ## library, headers and pkg-config file below PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(LIB) $(DESTDIR)$(PREFIX)/lib/libx0x.so
	install -m 644 include/x0x.h include/x0x_msgpack.h $(DESTDIR)$(PREFIX)/include/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' capi/x0x.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/x0x.pc

wheel: $(LIB) ## dist/agent_x0x-….whl, which needs no Go where it is installed
	mkdir -p dist
	X0X_PREBUILT=$(CURDIR)/$(LIB) $(PYTHON) python/build_wheel.py --out dist

npm-pack: $(LIB) ## dist/x0x-….tgz, which needs no compiler where it is installed
	mkdir -p dist
	cd node && npm ci --ignore-scripts --no-audit --no-fund && X0X_LIBRARY=$(CURDIR)/$(LIB) npm run build && npm pack --pack-destination ../dist

clean: ## removes what was built
	rm -rf .build dist node/prebuilds node/node_modules python/build python/x0x/libx0x.so
