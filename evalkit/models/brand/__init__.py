"""Marks as vectors: the network of `evalkit.tracks.clip`'s bundled model."""
