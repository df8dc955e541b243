"""One pass over one clip, and batches of clips in isolated workers."""

STALL_LIMIT_S = 120.0
"""A worker that reports nothing for so long is given up, unless another limit is given."""
