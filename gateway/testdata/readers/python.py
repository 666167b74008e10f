"""Serves the files in a folder with http.server, and says in X-Read which file each request stands for.

Prints its port, and ends when its standard input does.
"""

import http.server
import os
import sys
import threading
import urllib.parse


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # answers go out in one piece

    def end_headers(self):
        if getattr(self, "path", None):
            self.send_header("X-Read", urllib.parse.quote(self.translate_path(self.path)))
        super().end_headers()

    def log_message(self, *arguments):
        pass


os.chdir(sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
