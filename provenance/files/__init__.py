"""Opening what is not trusted: files, archives, folders, object stores, databases."""
