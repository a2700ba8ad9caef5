# The front door. Each target sets up what it needs (tools/setup.sh fetches only what is missing and
# touches no network otherwise), then CMake and Ninja do the work.
MODEL ?= models/SmolLM2-135M-Instruct.Q4_1.gguf
P ?= Write a short story about a lighthouse keeper who finds a message in a bottle.

export MODEL P # through the environment: a prompt may hold any character of the shell's

.PHONY: run test build models web serve-web asan mutants lint clean help
.DEFAULT_GOAL := build

run: ## set up, build, and stream text for a prompt: make run P="Why is the sky blue?" ARGS="--temp 0.7"
	@tools/setup.sh run
	@tools/build.sh release solo
	@build/solo run "$$MODEL" -p "$$P" $(ARGS)

test: ## set up, build, and run the whole suite
	@tools/setup.sh test
	@tools/build.sh release
	@tools/web.sh --if-possible
	@tools/ctest.sh build $(CTEST)

build: ## set up and build build/solo and the tests
	@tools/setup.sh build
	@tools/build.sh release

models: ## fetch the small real models, SmolLM2-135M and Gemma-3-270M, into models/
	@tools/setup.sh models

web: ## build for browsers: the page in dist/, the package build/web/solo-engine.tgz (from web/wasm, web/lib)
	@tools/setup.sh web
	@tools/web.sh

serve-web: web ## build the page, serve it on localhost with the models of models/, print the address: PORT=8080
	@node tools/serve_web.mjs --port $${PORT:-8080}

asan: ## the suite once more, built with AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/setup.sh test
	@tools/build.sh asan
	@tools/ctest.sh build-asan $(CTEST)

mutants: ## break the source place by place; each break must turn a test red (long): make mutants M="rope top"
	@tools/setup.sh test
	@tools/mutants.py $(M)

lint: ## the house rules that a script can check
	@tools/lint.sh

clean: ## remove what was built (keeps .deps and models)
	rm -rf build build-asan web/lib web/wasm dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' Makefile | expand -t 10
