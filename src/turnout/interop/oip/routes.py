from turnout import http

router = http.router("Open Inference Protocol")
