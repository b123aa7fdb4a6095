"""The Lambda handlers of the stack: one package each, and in `shared` what several of them need."""
