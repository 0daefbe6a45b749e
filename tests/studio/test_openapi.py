"""The API against its own description."""

from __future__ import annotations

import httpx
import pytest

from .serving import TOKEN, Studio

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, Phase, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

#: Per operation; the slow run tries harder.
QUICK, THOROUGH = 6, 100


@pytest.fixture(scope="session")
def described(studio: Studio):
    schema = schemathesis.openapi.from_dict(studio.client.get("/api/openapi.json").json())
    schema.config.update(base_url=studio.base)
    return schema


def test_every_route_of_the_issue_is_described(described):
    paths = set(described.raw_schema["paths"])
    assert {
        "/api/uploads",
        "/api/jobs",
        "/api/jobs/{job_id}",
        "/api/jobs/{job_id}/events",
        "/api/jobs/{job_id}/cancel",
        "/api/results/{picture_id}",
    } <= paths


def try_all(described, studio: Studio, count: int, path: str, method: str) -> None:
    operation = described[path][method]
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
        negative_data_rejection,
    ]

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @_given(operation)
    def check(case):
        try:
            response = case.call(headers={TOKEN: studio.token}, timeout=60)
        except (UnicodeEncodeError, httpx.InvalidURL):
            return  # no client can send it
        case.validate_response(response, checks=checks)

    check()


def _given(operation):
    from hypothesis import given

    return given(case=operation.as_strategy())


ROUTES = [
    ("/api/jobs", "post"),
    ("/api/jobs", "get"),
    ("/api/jobs/{job_id}", "get"),
    ("/api/jobs/{job_id}", "delete"),
    ("/api/jobs/{job_id}/cancel", "post"),
    ("/api/jobs/{job_id}/pause", "post"),
    ("/api/jobs/{job_id}/continue", "post"),
    ("/api/jobs/{job_id}/losses", "get"),
    ("/api/jobs/{job_id}/preview", "get"),
    ("/api/jobs/{job_id}/events", "get"),
    ("/api/uploads", "post"),
    ("/api/uploads", "get"),
    ("/api/uploads/{picture_id}", "delete"),
    ("/api/samples/{name}", "post"),
    ("/api/pictures/{picture_id}", "get"),
    ("/api/pictures/{picture_id}/about", "get"),
    ("/api/results/{picture_id}", "get"),
    ("/api/catalogue", "get"),
    ("/api/session", "post"),
]


def test_no_route_is_forgotten(described):
    every = {
        (path, method)
        for path, item in described.raw_schema["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete", "patch")
    }
    assert every == set(ROUTES)


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_answers_are_as_described(described, studio: Studio, path, method):
    try_all(described, studio, QUICK, path, method)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_answers_are_as_described_however_odd_the_request(described, studio, path, method):
    try_all(described, studio, THOROUGH, path, method)
