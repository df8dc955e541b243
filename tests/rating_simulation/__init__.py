"""Raters with known bias, noise and ill will, against what `evalkit.stats` makes of their answers.

`python -m tests.rating_simulation --out docs/rating_statistics.md`
"""
