"""The bitstream of a clip: content once, motion codes chunk by chunk (docs/bitstream.md)."""
