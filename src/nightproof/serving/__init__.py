"""What looks after jobs night after night: their schedules, and runs that nobody works on."""
