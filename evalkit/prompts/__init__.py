"""Prompts of talking avatars: templates that work, and which of the four parts a prompt leaves out."""
