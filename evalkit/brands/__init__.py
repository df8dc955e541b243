"""What a brand is: its mark in several versions, its colours, and where it should be seen."""
