"""The one-machine set-up behind make run."""
