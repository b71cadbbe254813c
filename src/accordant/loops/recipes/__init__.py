"""Recipes, one file each: `RECIPE` and nothing else, unless a labeller is new."""
