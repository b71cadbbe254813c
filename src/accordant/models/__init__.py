"""Models: where they are found, how they are loaded, adapted, identified and saved."""
