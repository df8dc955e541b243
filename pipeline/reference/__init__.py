"""The generator that runs anywhere: motion model, renderer, encoder."""
