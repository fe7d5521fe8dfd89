"""Rules and mappings, pure: normalise -> check the source -> map -> check what the customer requires (pipeline.run)."""
