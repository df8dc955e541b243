"""Pictures and pages that evaluators give as evidence, drawn from the details of a measurement."""
