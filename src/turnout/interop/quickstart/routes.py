from turnout import http

router = http.router("quick start")
