"""The panel people look at and the API programs call; both read the graph through one `Serving`."""
