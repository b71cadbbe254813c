"""Loops: who samples, who labels, what is trained, against whom and how long."""
