"""HTTP only: parse a request, call one function, shape the answer."""
