"""What the containers of `docker-compose.yml` need to become a platform, done by public APIs."""
