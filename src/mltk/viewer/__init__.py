"""Local web pages: a model's graph in Netron, and audio as the frontend and a detector see it."""
