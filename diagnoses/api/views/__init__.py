"""The addresses of the API, one module a noun. A view asks who is asking, calls one service and answers."""
