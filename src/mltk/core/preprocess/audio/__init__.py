"""Historical import paths of what turns audio into features."""
