"""Cannot be compiled."""
def app(:
