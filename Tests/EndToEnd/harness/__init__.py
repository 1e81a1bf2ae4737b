"""What the end-to-end tests share: servers, clients, a model, and the proxy's own process."""
