"""Studies of published claims, the laboratory they run in, and explorations of losses."""
