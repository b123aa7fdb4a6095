"""The training job: fits a model, and scores cross-validation folds."""
