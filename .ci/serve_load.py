"""200 clients on the gallery of `pig serve` for a minute: `serve_load.py PIG [CLIENTS] [SECONDS]`.

Each client opens the gallery of 5000 pairs, reads its list, and then scrolls: images and outlines of pairs, each asked for as a browser does. The check prints
the number of answers, the 50th and 95th percentile of their times, and the greatest memory of the server, and fails if an answer is an error, the 95th percentile is
above a second, or memory is above 1 GB. Clients keep their connections, as browsers do.
"""

import asyncio
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

PAIRS, SIDE = 5000, 64
MOST_SECONDS, MOST_BYTES = 1.0, 1 << 30


def png(rows, text=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (chunk(b"tEXt", text) if text else b"") + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def write_pairs(folder):
    """Noisy pictures with a disc, in the form that `pig sample` writes."""
    draw = random.Random(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    lines = ["id,seed,image,mask,settings_hash\n"]
    for index in range(PAIRS):
        row, column, radius = (draw.randrange(SIDE // 4, 3 * SIDE // 4) for _ in range(3))
        inside = [[(y - row) ** 2 + (x - column) ** 2 <= (radius // 3) ** 2 for x in range(SIDE)] for y in range(SIDE)]
        noise = [draw.randbytes(SIDE) for _ in range(SIDE)]
        image = [[noise[y][x] // 3 + 120 * inside[y][x] for x in range(SIDE)] for y in range(SIDE)]
        (folder / "images" / f"{index:06}.png").write_bytes(png(image, b"synthetic\0yes"))
        (folder / "masks" / f"{index:06}.png").write_bytes(png([[255 * value for value in line] for line in inside]))
        lines.append(f"{index:06},{index},images/{index:06}.png,masks/{index:06}.png,x\n")
    (folder / "manifest.csv").write_text("".join(lines))


class Client:
    """A browser's connection that is kept."""

    def __init__(self, host, port, cookie):
        self.host, self.port, self.cookie, self.streams = host, port, cookie, None

    async def get(self, target):
        """The status and the length of an answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nCookie: {self.cookie}\r\n\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        length = int(fields.get("content-length", 0))
        if length:
            await reader.readexactly(length)
        elif fields.get("transfer-encoding") == "chunked":
            while size := int((await reader.readline()).strip(), 16):
                length += size
                await reader.readexactly(size + 2)
            await reader.readline()
        return int(head[0].split()[1]), fields, length


async def browse(client, end, times, errors, draw):
    async def timed(target):
        since = time.monotonic()
        status, _, length = await client.get(target)
        times.append(time.monotonic() - since)
        if status != 200 or length == 0:
            errors.append(f"{target}: {status}, {length} bytes")

    await timed("/gallery?path=pairs")
    await timed("/api/pairs?path=pairs")
    while time.monotonic() < end:
        first = draw.randrange(PAIRS - 40)
        for index in range(first, first + 40):
            await timed(f"/files/pairs/images/{index:06}.png")
            await timed(f"/api/outline?path=pairs&id={index:06}")
            if time.monotonic() > end:
                return
        # A person looks at what has come.
        await asyncio.sleep(draw.random())


def memory(process):
    """The greatest resident memory of a process so far, in bytes; 0 where the system does not tell it."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


async def load(link, clients, seconds):
    host, port = link.split("//")[1].split("/")[0].split(":")
    token = link.split("token=")[1]
    status, fields, _ = await Client(host, int(port), "").get(f"/?token={token}")
    cookie = fields["set-cookie"].split(";")[0]
    times, errors, end = [], [], time.monotonic() + seconds
    browsing = [browse(Client(host, int(port), cookie), end, times, errors, random.Random(number)) for number in range(clients)]
    await asyncio.gather(*browsing)
    return times, errors


def main():
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__.split("\n", maxsplit=1)[0])
    clients, seconds = (int(word) for word in (*sys.argv[2:], *("200", "60")[len(sys.argv) - 2 :]))
    with tempfile.TemporaryDirectory() as folder:
        write_pairs(Path(folder) / "pairs")
        server = subprocess.Popen([sys.argv[1], "serve", folder, "--port", "0", "--quiet"], stdout=subprocess.PIPE, text=True)
        try:
            times, errors = asyncio.run(load(server.stdout.readline().strip(), clients, seconds))
            most = memory(server.pid)
        finally:
            server.terminate()
            server.wait()
    times.sort()
    middle, high = times[len(times) // 2], times[int(0.95 * len(times))]
    print(
        f"serve: {clients} clients, {seconds} s: {len(times)} answers, p50 {1000 * middle:.0f} ms, p95 {1000 * high:.0f} ms, slowest "
        f"{1000 * times[-1]:.0f} ms; {len(errors)} errors; {most / 1e6:.0f} MB at most"
    )
    if errors or high > MOST_SECONDS or most > MOST_BYTES:
        sys.exit("serve: too slow, too large or wrong: " + "; ".join(errors[:5]))


if __name__ == "__main__":
    main()
