# Verbs. Each works in a fresh clone with Go alone; what needs more says so where it is missing.
#
#   make load     find out how much the bundled server takes on this machine, or SERVER=host:port another one
#   make test     all fast tests
#   make help     the rest

GO     ?= go
COUNT  ?= 6
MANY   ?= 10000

.PHONY: help build test race load bench scaling truth calm original engines peers many clients gate gate-proof docker pkb pkb-binaries lint fuzz

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## server and client as programs in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/server ./server
	CGO_ENABLED=0 $(GO) test -c -trimpath -ldflags='-s -w' -tags=load -o bin/client ./loadtest

test: ## all fast tests
	$(GO) test ./...

race: ## all fast tests under the race detector
	$(GO) test -race -p 1 ./...

# The compiled client and not go test, because go test has the last word on the output, and cuts it off after -timeout.
load: ## ramp: requests per second and latency until the server gives no more (SERVER, DURATION, ... in README.md)
	@mkdir -p bin
	@$(GO) test -c -tags=load -o bin/client ./loadtest
	@cd loadtest && ../bin/client -test.run '^TestRamp$$'

bench: ## BenchmarkLevel for benchstat, COUNT times
	@$(GO) test -tags=load -run '^$$' -bench Level -count $(COUNT) ./loadtest

scaling: ## connections spread over the workers, and two VUs get two cores (STARTS, ROUNDS)
	@scripts/scaling.sh

truth: ## latencies are those that the server measures, within 1 % and 100 µs, on a machine that does nothing else
	TRUTH=1 $(GO) test -count=1 -v -run '^Test(Truth|PauseIsSeen|CutConnectionsAreCounted)' ./loadtest/inject

calm: ## ramps of the bundled server, in which no level may raise a doubt (RAMPS, DURATION)
	@scripts/calm.sh

original: ## capacity of the original's workload, found by rampart and by k6 in turns (needs gunicorn, Flask, k6)
	@scripts/original/compare.sh

engines: ## built-in injection and k6 against one server, in turns: throughput and p95 agree (needs k6; ROUNDS, DURATION)
	@scripts/engines.sh

# Only reports: the limits of -require hold on a machine that has nothing else to do. TOOLS=rampart,wrk makes pairs.
peers: ## rampart, wrk, hey, vegeta and k6, whichever are installed, in turns: a table of ratios (ROUNDS, DURATION, VUS, TOOLS)
	@mkdir -p bin
	@$(GO) test -c -tags=load -o bin/client ./loadtest
	@$(GO) run ./scripts/peers

many: ## MANY (10000) VUs on nginx: all connected in 10 s, no failure, at most 300 MB
	@mkdir -p bin
	@$(GO) test -c -tags=load -o bin/client ./loadtest
	@$(GO) run ./scripts/peers -many $(MANY)

# As programs, so that Ctrl-C reaches the one that has to clean up. Namespaces need root.
clients: ## several clients at one instant, merged, against one with the same load, in turns (CLIENTS_FLAGS=-clients 3 -require)
	@mkdir -p bin
	@$(GO) test -c -tags=load -o bin/client ./loadtest
	@$(GO) build -o bin/clients ./scripts/clients
	@bin/clients $(CLIENTS_FLAGS)

# make turns every exit code but 0 into 2; scripts/gate.sh has that of perfgate.
gate: ## the bundled server at the commit BASE against the working tree's: one verdict (BASE, GATE_FLAGS, RESULTS)
	@scripts/gate.sh

gate-proof: ## how often the gate is wrong: duels of equals, and with injected losses (PROOF='-n 60'; more than an hour)
	@$(GO) run ./scripts/gateproof $(PROOF)

# Not linked with C, because the test goes into a container itself.
docker: ## build the images of server and client, and test them, where a container engine answers
	@IMAGES=1 CGO_ENABLED=0 $(GO) test -count=1 -v -timeout 20m ./scripts/images

pkb-binaries: ## static server and client for Linux on amd64 and arm64, for PerfKitBenchmarker, in bin/pkb
	@for arch in amd64 arm64; do \
		export CGO_ENABLED=0 GOOS=linux GOARCH=$$arch; \
		$(GO) build -trimpath -ldflags='-s -w' -o bin/pkb/rampart-server-$$arch ./server || exit 1; \
		$(GO) test -c -trimpath -ldflags='-s -w' -tags=load -o bin/pkb/rampart-client-$$arch ./loadtest || exit 1; \
	done

pkb: ## tests of the PerfKitBenchmarker module (needs python3 with absl and yaml; PKB=folder of a real PerfKitBenchmarker)
	@scripts/pkb/test.sh

lint: ## gofmt, go vet with and without -tags=load, golangci-lint or staticcheck, govulncheck
	@scripts/lint.sh

fuzz: ## each fuzz target for FUZZTIME (10s)
	@scripts/fuzz.sh
