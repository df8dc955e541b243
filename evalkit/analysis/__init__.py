"""What the values of a run are: computed once, shown everywhere."""
