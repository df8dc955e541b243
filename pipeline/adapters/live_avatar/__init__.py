"""Live Avatar as it is: its own torchrun scripts, its log, its limits and its traps.

What is said here of its code was read in Alibaba-Quark/LiveAvatar at 9c2c38d.
"""
