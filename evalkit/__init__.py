"""evalkit measures talking avatars."""

__version__ = "0.1.0"
