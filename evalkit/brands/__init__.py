"""What a brand is: its mark in several versions, its colours, and where it should be seen."""

from __future__ import annotations

from evalkit.brands.guidelines import Box, BrandColor, BrandGuidelines, read_brand

__all__ = ["Box", "BrandColor", "BrandGuidelines", "read_brand"]
