"""The platform as local processes: settings in, a supervised set of programs out."""
