"""Lips from sound: the predictor of `evalkit.evaluators.lip_sync`."""
