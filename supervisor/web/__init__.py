"""The doors: `server` is TCP and only reads, `control` is the unix socket that serves everything."""
