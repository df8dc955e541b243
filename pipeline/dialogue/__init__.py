"""Question to answer, and all that happens between a question and the picture."""
