"""All that knows Prefect: the flow, its server, the nightly deployment."""
