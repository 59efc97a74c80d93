"""Long work that survives restarts: its states, their store, who runs it, and the kinds there are."""
