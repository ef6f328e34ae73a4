"""What a user can set: settings by topic, profiles, vocabularies."""
