"""One file a channel; CHANNELS names them all."""
