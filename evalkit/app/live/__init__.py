"""The pages of a folder of runs, live: what is in it, how it changed, and each run with its files."""
