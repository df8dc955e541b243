"""One pass over one clip, and batches of clips in isolated workers."""
