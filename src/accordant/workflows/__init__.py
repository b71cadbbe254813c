"""Stories of whole runs: each composes the rooms below and adds no mechanism of its own."""
