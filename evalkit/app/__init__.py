"""Served pages: where raters watch and answer, and where whoever asked them sees how far they are."""
