"""MuseTalk: its inference script, once for each video or for several that go together."""
