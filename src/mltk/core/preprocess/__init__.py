"""Historical import paths of what prepares samples."""
