from turnout import http

router = http.router("OpenFeature")
