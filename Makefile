# Everything works on a machine that has Python 3.11 to 3.13, a C/C++ compiler and pip.
.PHONY: help install demo test check bench clean

help:
	@echo "make demo    synthesize words, train, quantize, evaluate, hear the words in a stream (in demo/)"
	@echo "make test    run the whole test suite"
	@echo "make check   formatting, lint, types, one-way imports"
	@echo "make bench   measure beside TensorFlow, pymicro-features and the reference toolkit, in bench/ (needs ../shared/speech or MLTK_SPEECH_DIR)"

install:
	@scripts/install

demo:
	@scripts/demo

test:
	@scripts/check
	@scripts/test

check:
	@scripts/check

bench:
	@scripts/bench

clean:
	rm -rf .venv .venv-reference build demo bench
