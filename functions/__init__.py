"""The Lambda handlers of the stack: one package each, and `shared` for code that several of them need."""
