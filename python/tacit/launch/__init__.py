"""Starts parties as processes: all on this machine, or one of several hosts; and the dealer."""
