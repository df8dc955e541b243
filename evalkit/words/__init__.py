"""What people read on pages, in every language that there is."""
