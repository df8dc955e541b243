"""From frames and sound to tracks: face, pose, picture, speech."""
