"""The floor: a picows server that sends every frame back. `python -m ...bench.venue.echo_process`

Prints its port, and ends when its input does.
"""

import asyncio
import sys

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from hfengine.runtime.loops import new_live_loop


class _Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Send a text frame back; answer a close."""
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def serve() -> None:
    """Echo until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await ws_create_server(lambda _: _Echo(), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    server.close()


def main() -> None:
    """Serve on a loop like the venue's."""
    loop = new_live_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(serve())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


if __name__ == "__main__":
    main()
