"""How the server listens."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from tsir.commands.serve import listen


def test_accepted_connections_send_small_answers_at_once() -> None:
    """Without TCP_NODELAY each answer on a kept-alive connection waits for a delayed acknowledgement."""
    seen: list[int] = []

    async def app(scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[operator]

    class Noting(uvicorn.Server):
        async def main_loop(self) -> None:
            reader, writer = await asyncio.open_connection(*self.servers[0].sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            await reader.readline()
            for connection in self.server_state.connections:
                accepted = connection.transport.get_extra_info("socket")  # type: ignore[union-attr]
                seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

    with listen("127.0.0.1", 0, "the API", "--port") as bound:
        server = Noting(uvicorn.Config(app, log_config=None, lifespan="off", http="h11"))  # type: ignore[arg-type]
        asyncio.run(server.serve(sockets=[bound]))
    assert seen and all(seen)
