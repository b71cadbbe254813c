"""Pure losses by family, and the registry that lists them without importing torch."""
