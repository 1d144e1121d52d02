"""Own the pages that describe the API: OpenAPI schema and Swagger UI, from our own server, without inline script."""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class SchemaView(SpectacularAPIView):
    """The OpenAPI 3 description."""


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI."""

    url_name = "api-schema"
    template_name = "diagnoses/api/docs.html"
    title = "Teri API"
