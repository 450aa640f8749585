"""What decisions teach: how often rules are right, and from which score they should hold."""
