"""Decisions tried with known truth, as often as it takes: ``python -m tests.simulation --out docs/statistics.md``.

Everything goes through the public functions (`compare_tables`, `recommend`, `sign_off`) on tables of planted values.
"""
