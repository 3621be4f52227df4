"""A host for plugins that come as archives, in versions, while it runs."""
