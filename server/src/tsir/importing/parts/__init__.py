"""Imports that many machines share.

`listing` cuts what is to be imported into parts, `making` reads and encodes one (in a worker, anywhere), `shelf` keeps what is made, as
Parquet, `planning` has the parts made, by the workers of a Ray cluster (`on_ray`), `taking` brings them into a collection. `job` is the
kind of job that does all of it.
"""
