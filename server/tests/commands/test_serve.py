"""How the server listens."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from tsir.commands.serve import listen


def test_accepted_connections_send_small_answers_at_once() -> None:
    """Without TCP_NODELAY each answer on a kept-alive connection waits for a delayed acknowledgement."""

    async def accepted(bound: socket.socket) -> int:
        option: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(on_connection, sock=bound):  # as the web server does it
            _, writer = await asyncio.open_connection(*bound.getsockname())
            try:
                return await option
            finally:
                writer.close()

    # In a thread, which has no event loop yet, whatever ran before.
    with listen("127.0.0.1", 0, "the API", "--port") as bound, ThreadPoolExecutor(1) as pool:
        assert pool.submit(asyncio.run, accepted(bound)).result()
