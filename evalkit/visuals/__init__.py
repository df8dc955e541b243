"""The one visual language of pages and plots: style sheet, templates, macros, inks."""
