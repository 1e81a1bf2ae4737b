"""What the end-to-end tests are made of: servers, clients, a model, and the proxy's own process.

It must not know what any one test is about.
"""
