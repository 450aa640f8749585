"""Opens files and remote sources that are not trusted."""
