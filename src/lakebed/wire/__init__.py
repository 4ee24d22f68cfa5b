"""Wire: sans-io codecs. No socket, no clock, no state: bytes to values and back, so every codec is tested by itself."""
