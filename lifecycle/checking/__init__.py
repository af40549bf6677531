"""Is an agent in order? One answer for CI and for REST, with a sentence for each no."""
