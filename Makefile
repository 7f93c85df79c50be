# Verbs. Each works in a fresh clone with Go alone; what needs more says so where it is missing.
#
#   make load     find out how much the bundled server takes on this machine, or SERVER=host:port another one
#   make test     all fast tests
#   make help     the rest

GO     ?= go
BIN    := $(or $(BIN),bin)
COUNT  ?= 6
MANY   ?= 10000

ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7

# Programs name their commit where git can tell it. Where it cannot (no git, no repository, or one of another user, which git
# does not trust), Go's default would be to fail or not to say; then it is told for all that is built below, too. Of a worktree
# Go says nothing, or the commit of a repository around it: the linker has what git says.
COMMIT := $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)
VCS    := -buildvcs=$(shell top=$$(git rev-parse --show-toplevel 2>/dev/null) && test -d "$$top/.git" && \
	git log -1 >/dev/null 2>&1 && git status >/dev/null 2>&1 && echo true || echo false)
ifeq ($(VCS),-buildvcs=false)
export GOFLAGS := $(shell $(GO) env GOFLAGS) $(VCS)
endif
CLIENT_LD := -X rampart/loadtest.commit=$(COMMIT)
SERVER_LD := -s -w -X main.commit=$(COMMIT)

.PHONY: help folder build test race load bench scaling truth calm original engines peers many clients gate gate-proof bench-proof capacity-proof supervisor-proof supervisor-cost docker anywhere pkb pkb-binaries release actions rename lint fuzz

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: folder ## server, client and perfgate as programs in bin/ (BIN: another folder)
	CGO_ENABLED=0 $(GO) build $(VCS) -trimpath -ldflags='$(SERVER_LD)' -o $(BIN)/ ./server ./scripts/perfgate
	CGO_ENABLED=0 $(GO) test -c $(VCS) -trimpath -ldflags='-s -w $(CLIENT_LD)' -tags=load -o $(BIN)/client ./loadtest

folder:
	@mkdir -p $(BIN) && test -w $(BIN) || { echo 'programs cannot be put into $(BIN): set BIN to a folder that can be written' >&2; exit 1; }

test: ## all fast tests (SLOW=1: also those that take minutes, such as duels of servers with a fault that has to be found)
	$(GO) test ./...

# Packages whose tests hold time limits come one after the other: the race detector makes them slow enough.
TIMED := ./loadtest ./loadtest/inject ./loadtest/host ./loadtest/k6 ./server/...

# Packages of one goroutine, where the race detector has nothing to find. A test holds that they start none.
SOLO := ./loadtest/capacity ./loadtest/report/... ./loadtest/request ./loadtest/result ./loadtest/slo ./loadtest/verdict \
	./scripts/columns ./scripts/docs

# What these test runs in other processes, into which the race detector does not see, or in packages that are tested themselves.
OUTSIDE := ./scripts/actions ./scripts/anywhere ./scripts/clients ./scripts/gateproof ./scripts/images \
	./scripts/module ./scripts/peers ./scripts/perfgate ./scripts/supervisor

# Simulations, which the race detector makes several times as long. All that they share is one map behind a lock.
SIMULATED := ./loadtest/gate ./scripts/perfgate/prove

race: ## the tests of all that has goroutines, under the race detector; of duels of real servers a few
	$(GO) build -race $(TIMED) # -p 1 would compile one after the other, too
	$(GO) test -race -short -p 1 $(TIMED)
	$(GO) test -race $$($(GO) list ./... | grep -vxF "$$($(GO) list $(TIMED) $(SOLO) $(OUTSIDE) $(SIMULATED))")

# The compiled client and not go test, because go test has the last word on the output, and cuts it off after -timeout.
load: folder ## ramp: requests per second and latency until the server gives no more (SERVER, DURATION, ... in loadtest/README.md)
	@$(GO) test -c $(VCS) -ldflags='$(CLIENT_LD)' -tags=load -o $(BIN)/client ./loadtest
	@cd loadtest && $(abspath $(BIN))/client -test.run '^TestRamp$$'

bench: ## BenchmarkLevel for benchstat, COUNT times
	@$(GO) test $(VCS) -tags=load -run '^$$' -bench Level -count $(COUNT) ./loadtest

scaling: ## connections spread over the workers, and two VUs get two cores (STARTS, ROUNDS)
	@scripts/scaling.sh

truth: ## latencies are those that the server measures, within 1 % and 100 µs, on a machine that does nothing else
	TRUTH=1 $(GO) test -count=1 -v -run '^Test(Truth|PauseIsSeen|CutConnectionsAreCounted)' ./loadtest/inject
	TRUTH=1 $(GO) test -count=1 -v -run '^TestObjectiveOfARealServer$$' ./loadtest

calm: ## ramps of the bundled server: no doubt on a calm machine, one in each beside busy loops or a compiler (RAMPS, DURATION)
	@scripts/calm.sh

original: ## capacity of the original's workload, found by rampart and by k6 in turns (needs gunicorn, Flask, k6)
	@scripts/original/compare.sh

engines: ## built-in injection and k6 against one server, in turns: throughput and p95 agree (needs k6; ROUNDS, DURATION)
	@scripts/engines.sh

# Only reports: the limits of -require hold on a machine that has nothing else to do. TOOLS=rampart,wrk makes pairs.
peers: folder ## rampart, wrk, hey, vegeta and k6, whichever are installed, in turns: a table of ratios (ROUNDS, DURATION, VUS, TOOLS)
	@$(GO) test -c $(VCS) -ldflags='$(CLIENT_LD)' -tags=load -o $(BIN)/client ./loadtest
	@$(GO) run ./scripts/peers -client $(BIN)/client

many: folder ## MANY (10000) VUs on nginx: all connected in 10 s, no failure, at most 300 MB
	@$(GO) test -c $(VCS) -ldflags='$(CLIENT_LD)' -tags=load -o $(BIN)/client ./loadtest
	@$(GO) run ./scripts/peers -client $(BIN)/client -many $(MANY)

# As programs, so that Ctrl-C reaches the one that has to clean up. Namespaces need root.
clients: folder ## several clients at one instant, merged, against one with the same load, in turns (CLIENTS_FLAGS=-clients 3 -require)
	@$(GO) test -c $(VCS) -ldflags='$(CLIENT_LD)' -tags=load -o $(BIN)/client ./loadtest
	@$(GO) build $(VCS) -o $(BIN)/clients ./scripts/clients
	@$(abspath $(BIN))/clients -client $(BIN)/client $(CLIENTS_FLAGS)

# make turns every exit code but 0 into 2; scripts/gate.sh has that of perfgate.
gate: ## the bundled server at the commit BASE against the working tree's: one verdict (BASE, GATE_FLAGS, RESULTS)
	@scripts/gate.sh

bench-proof: ## how often perfgate bench is wrong: benchmarks of the standard library with themselves, and injected losses (PROOF)
	@$(GO) run ./scripts/benchproof $(PROOF)

gate-proof: ## how often the gate is wrong: duels of equals, and with injected losses (PROOF='-n 60'; more than an hour)
	@$(GO) run ./scripts/gateproof $(PROOF)

capacity-proof: ## how well ramps repeat: confident and classic ones in turns, with and without a neighbour (PROOF='-n 20'; an hour)
	@$(GO) run ./scripts/capacityproof $(PROOF)

# The ordinary tests do the same, for a shorter time or not as often.
supervisor-proof: ## the supervisor loses nothing: 20 reloads in 100 000 requests, 20 upgrades, 30 s of overload, ... (minutes)
	SUPERVISOR_PROOF=1 $(GO) test -count=1 -timeout 20m ./server/... ./scripts/supervisor

supervisor-cost: folder ## throughput and p99 of worker processes / of one net/http process, in turns (COST='-workers 2 -pairs 40')
	@CGO_ENABLED=0 $(GO) build $(VCS) -trimpath -ldflags='$(SERVER_LD)' -o $(BIN)/ ./server
	@$(GO) run ./scripts/supervisor -server $(BIN)/server $(COST)

# Not linked with C, because the test goes into a container itself.
docker: ## build the images of server and client, and test them, where a container engine answers
	@IMAGES=1 CGO_ENABLED=0 $(GO) test -trimpath -count=1 -v -timeout 20m ./scripts/images

anywhere: ## builds in a checkout of another user, without git, without a repository, and on a read-only file system
	@ANYWHERE=1 $(GO) test -count=1 -v -timeout 30m ./scripts/anywhere

pkb-binaries: folder ## static server and client for Linux on amd64 and arm64, for PerfKitBenchmarker, in bin/pkb
	@for arch in amd64 arm64; do \
		export CGO_ENABLED=0 GOOS=linux GOARCH=$$arch; \
		$(GO) build $(VCS) -trimpath -ldflags='$(SERVER_LD)' -o $(BIN)/pkb/rampart-server-$$arch ./server || exit 1; \
		$(GO) test -c $(VCS) -trimpath -ldflags='-s -w $(CLIENT_LD)' -tags=load -o $(BIN)/pkb/rampart-client-$$arch ./loadtest || exit 1; \
	done

pkb: ## tests of the PerfKitBenchmarker module (needs python3 with absl and yaml; PKB=folder of a real PerfKitBenchmarker)
	@scripts/pkb/test.sh

release: folder ## static programs for Linux on amd64 and arm64 in bin/release, with their checksums
	@rm -rf $(BIN)/release && mkdir -p $(BIN)/release
	@for arch in amd64 arm64; do \
		export CGO_ENABLED=0 GOOS=linux GOARCH=$$arch; \
		$(GO) build $(VCS) -trimpath -ldflags='-s -w' -o $(BIN)/release/perfgate-linux-$$arch ./scripts/perfgate || exit 1; \
		$(GO) build $(VCS) -trimpath -ldflags='$(SERVER_LD)' -o $(BIN)/release/rampart-server-linux-$$arch ./server || exit 1; \
		$(GO) test -c $(VCS) -trimpath -ldflags='-s -w $(CLIENT_LD)' -tags=load -o $(BIN)/release/rampart-client-linux-$$arch ./loadtest || exit 1; \
	done
	@cd $(BIN)/release && sha256sum * >SHA256SUMS && cat SHA256SUMS

actions: ## what GitHub and GitLab would run, in a shell, for real: minutes (and actionlint, which go run fetches)
	@ACTIONS=1 $(GO) test -count=1 -v ./scripts/actions
	@$(GO) run $(ACTIONLINT)

rename: ## give the module the path MODULE, everywhere (MODULE=example.org/you/rampart)
	@MODULE='$(MODULE)' scripts/rename.sh

lint: ## gofmt, lines of at most 120 columns, go vet with and without -tags=load, golangci-lint or staticcheck, govulncheck
	@scripts/lint.sh

fuzz: ## each fuzz target for FUZZTIME (10s)
	@scripts/fuzz.sh
