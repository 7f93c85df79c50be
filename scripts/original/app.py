"""The workload of the system that rampart replaces, as its users knew it: two nested loops behind Flask."""

import socket
import time

from flask import Flask, request

app = Flask(__name__)


@app.route("/")
def work():
    it1, it2 = int(request.args["it1"]), int(request.args["it2"])
    begun = time.perf_counter()
    c = 0
    for i in range(it1):
        for j in range(it2):
            if i % 554 == 0:
                c = c + (c + j)
    took = round(time.perf_counter() - begun, 6)
    address = socket.gethostbyname(socket.gethostname())
    return f"Server: {address}. Time: {time.strftime('%H:%M:%S')}. Computation took {took} s"
