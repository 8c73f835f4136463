"""Historical import path of the image functions: empty, since specifications for audio only import it."""
