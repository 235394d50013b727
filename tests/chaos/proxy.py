"""A TCP proxy whose connections can be made to die silently: `python -m tests.chaos.proxy PORT`.

It prints the port it listens on. At SIGUSR1 every connection of that moment stops forwarding, both
ways, and is never closed; later ones are forwarded.
"""

import asyncio
import signal
import sys


class Proxy:
    """Forwards to one port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._dead: set[asyncio.Event] = set()
        self._alive: set[asyncio.Event] = set()
        self._tasks: set[asyncio.Task[None] | None] = set()
        """Held: a task that nobody holds may vanish while it waits."""

    def freeze(self) -> None:
        """Let every connection there is die silently."""
        for one in self._alive:
            one.set()
        self._dead |= self._alive
        self._alive = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection, both ways."""
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        frozen, task = asyncio.Event(), asyncio.current_task()
        self._alive.add(frozen)
        self._tasks.add(task)
        await asyncio.gather(
            self._pump(reader, far_writer, frozen), self._pump(far_reader, writer, frozen)
        )
        self._alive.discard(frozen)
        self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: asyncio.Event
    ) -> None:
        try:
            while piece := await reader.read(65_536):
                if frozen.is_set():
                    # read and forgotten: the other side never learns of it
                    continue
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        if not frozen.is_set():
            writer.close()


async def _serve(port: int) -> None:
    proxy = Proxy(port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, proxy.freeze)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
