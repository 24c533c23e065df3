"""A session wires the rooms together: channels, source, protocol, engine, arithmetic. The only place that knows all of them."""
