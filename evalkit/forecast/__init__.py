"""What memory and time a sweep will need, from estimates and from its own history."""
