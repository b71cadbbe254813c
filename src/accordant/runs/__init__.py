"""The stories of the verbs: compose the rooms below, add no mechanism."""
