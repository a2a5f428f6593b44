"""Who may ask a dashboard, under which names, and which posts are its own forms."""
