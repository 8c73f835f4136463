"""Historical import paths of what goes with Keras."""
