"""Commands run on another machine over SSH."""
