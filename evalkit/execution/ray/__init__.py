"""Work on a Ray cluster: what the executor ``ray`` consists of. Nothing here is imported unless it is used."""
