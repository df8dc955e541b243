"""What a piece of work costs in time, memory and energy: watched from a process of its own."""
