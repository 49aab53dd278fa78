"""Protocols of folders of videos: rebuilding, swaps across people, bits."""
