"""Serves one prepared event stream as fast as it is taken, and asks for it: the two ends of the part `shapes`.

    replay.py serve FILE           prints `listening on 127.0.0.1:PORT`, answers every request with the stream in FILE
    replay.py load PORT FILE N     asks N times over 8 connections, checks every answer's length, prints its seconds

FILE is JSON: `path`, `type` (the media type), `body` (the request's), `events` (each one text).
Every event is an HTTP chunk and a write of its own, as servers send them. Standard library only.
"""

import json
import pathlib
import socket
import sys
import threading
import time

CONNECTIONS = 8
END = b"0\r\n\r\n"


def read_stream(file):
    return json.loads(pathlib.Path(file).read_text())


def chunks(stream):
    """The bytes of each write: the head, every event, the end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {stream['type']}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    bodies = [event.encode() for event in stream["events"]]
    return [head] + [b"%x\r\n%b\r\n" % (len(body), body) for body in bodies] + [END]


def serve(file):
    stream = read_stream(file)
    writes = chunks(stream)
    length = len(stream["body"].encode())
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(client, writes, length), daemon=True).start()


def answer(client, writes, length):
    """Answers one request after the other, each with a body of `length` bytes."""
    pending = b""
    with client:
        while True:
            while (end := pending.find(b"\r\n\r\n")) < 0 or len(pending) < end + 4 + length:
                received = client.recv(65536)
                if not received:
                    return
                pending += received
            pending = pending[end + 4 + length:]
            try:
                for write in writes:
                    client.sendall(write)
            except ConnectionError:
                return


def load(port, file, count):
    stream = read_stream(file)
    body = stream["body"].encode()
    request = (
        f"POST {stream['path']} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    failures = []
    began = time.monotonic()
    clients = [
        threading.Thread(target=ask, args=(port, request, count // CONNECTIONS, failures)) for _ in range(CONNECTIONS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if failures:
        sys.exit(f"{len(failures)} failures, the first: {failures[0]}")
    print(json.dumps({"answers": count // CONNECTIONS * CONNECTIONS, "seconds": time.monotonic() - began}))


def ask(port, request, count, failures):
    buffer = bytearray(1 << 20)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as server:
            for _ in range(count):
                server.sendall(request)
                tail = b""
                while not tail.endswith(END):
                    received = server.recv_into(buffer)
                    if received == 0:
                        raise ConnectionError("the answer ended early")
                    tail = (tail + bytes(buffer[max(0, received - 16):received]))[-16:]
    except OSError as error:
        failures.append(error)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        load(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
