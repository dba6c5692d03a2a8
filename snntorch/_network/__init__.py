"""A network over many time steps: above the neurons and the engine, which do not import it."""
