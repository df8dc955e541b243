"""Whether somebody speaks: the weights of `evalkit.metrics.speech_likeness`."""
