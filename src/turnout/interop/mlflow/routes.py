from turnout import http

router = http.router("MLflow")
