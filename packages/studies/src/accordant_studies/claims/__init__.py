"""Papers' claims in miniature, one file per system; how to write one: `catalogue.laboratory`."""
