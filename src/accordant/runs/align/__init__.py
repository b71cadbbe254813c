"""The story of `accordant align`, in three parts: prepare, execute, measure."""
