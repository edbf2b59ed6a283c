"""An MCP server that speaks by hand, and badly: python rude_server.py stdio | late | http PORT.

Its tool `babble` answers between lines that are no messages; `broken` answers with what is no JSON; `odd` answers with
JSON that is no result; `ask` asks its client for a text of the model and for its folders before it answers; `hang`
does not answer. A late one starts last.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

NOISE = b'welcome!\n{ this is no JSON \xff\xfe\n\n[1]\n{"jsonrpc": "2.0", "id": 99, "result": {}}\n'
TOOLS = ("babble", "broken", "odd", "ask", "hang")
LATE_S = 0.3


def result_of(method, params):
    """The result of a request; None where the method is unknown."""
    if method == "initialize":
        about = {"protocolVersion": params["protocolVersion"], "serverInfo": {"name": "rude", "version": "1"}}
        return about | {"capabilities": {"tools": {}}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    if method == "tools/call":
        if params["name"] == "odd":
            return {"content": "no list"}
        return {"content": [{"type": "text", "text": f"{params['name']} answers"}]}
    return None


def answer(message):
    """The bytes of the answer to a message: JSON, or not."""
    if "id" not in message or "method" not in message:
        return b""
    params = message.get("params") or {}
    if params.get("name") == "hang":
        return b""
    if params.get("name") == "broken":
        return b'{"jsonrpc": "2.0", "id": '
    head = {"jsonrpc": "2.0", "id": message["id"]}
    result = result_of(message["method"], params)
    if result is None:
        return json.dumps(head | {"error": {"code": -32601, "message": "Method not found"}}).encode()
    return json.dumps(head | {"result": result}).encode()


def speak():
    """Over stdin and stdout, with noise around every answer."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if (message.get("params") or {}).get("name") == "ask":
            for number, method in enumerate(("sampling/createMessage", "roots/list", "none/such")):
                request = {"jsonrpc": "2.0", "id": f"mine-{number}", "method": method, "params": {}}
                sys.stdout.buffer.write(json.dumps(request).encode() + b"\n")
        said = answer(message)
        if said:
            sys.stdout.buffer.write(NOISE + said + b"\n" + NOISE)
        sys.stdout.buffer.flush()


class Handler(BaseHTTPRequestHandler):
    """Over HTTP, as JSON alone."""

    def do_POST(self):
        said = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200 if said else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format, *args):
        pass


if __name__ == "__main__":
    if sys.argv[1] == "http":
        HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
    if sys.argv[1] == "late":
        time.sleep(LATE_S)
    speak()
