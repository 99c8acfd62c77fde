# SPDX-License-Identifier: BSD-3-Clause
"""Django in one file: settings, a view that waits, and the application."""

import asyncio
import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["localhost", "127.0.0.1", "[::1]"],
        DEBUG=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or os.urandom(32).hex(),
    )


async def hello(request):
    await asyncio.sleep(0.01)
    return JsonResponse({"hello": request.GET.get("name", "world")})


def square(request, n):
    # a synchronous view runs in a thread
    return JsonResponse({"square": n * n})


urlpatterns = [path("", hello), path("square/<int:n>", square)]

app = get_asgi_application()
