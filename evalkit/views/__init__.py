"""What people are shown, as typed plain data: no markup, no drawing, and no figure that was not computed below."""
