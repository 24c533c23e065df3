"""Public helpers for tests: conformance suites that a new implementation of an interface runs, and attackers' hooks."""
