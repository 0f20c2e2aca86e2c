from turnout import http

router = http.router("classic paths")
