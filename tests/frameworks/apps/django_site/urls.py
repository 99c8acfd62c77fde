import asyncio
import hashlib
import threading

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.db import transaction
from django.http import (FileResponse, HttpResponse, JsonResponse,
                         StreamingHttpResponse)
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_site.models import Note


def sync_hello(request):
    return HttpResponse("Hello, world!", content_type="text/plain")


async def async_hello(request):
    await asyncio.sleep(0)
    return HttpResponse("Hello, world!", content_type="text/plain")


def meta(request):
    return JsonResponse({
        "method": request.method, "path": request.path,
        "get": dict(request.GET.lists()), "host": request.get_host(),
        "remote": request.META["REMOTE_ADDR"], "secure": request.is_secure(),
        "cookies": request.COOKIES})


@csrf_exempt
async def create(request):
    note = await Note.objects.acreate(title=request.POST["title"])
    return JsonResponse({"id": note.pk}, status=201)


async def titles(request):
    return JsonResponse([n.title async for n in Note.objects.order_by("pk")],
                        safe=False)


@csrf_exempt
def in_transaction(request):
    try:
        with transaction.atomic():
            Note.objects.create(title="rolled back")
            raise LookupError
    except LookupError:
        return JsonResponse(
            Note.objects.filter(title="rolled back").count(), safe=False)


@csrf_exempt
async def upload(request):
    file = request.FILES["file"]

    def digest():
        sha = hashlib.sha256()
        for block in file.chunks():
            sha.update(block)
        return sha.hexdigest()
    return JsonResponse({"name": file.name, "size": file.size,
                         "sha256": await sync_to_async(digest)()})


async def stream(request, n):
    async def lines():
        for i in range(n):
            yield f"{i}\n"
            await asyncio.sleep(0)
    return StreamingHttpResponse(lines(), content_type="text/plain")


def file(request):
    return FileResponse(open(__file__, "rb"), filename="urls.py")


async def visits(request):
    n = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", n)
    return JsonResponse(n, safe=False)


def thread(request):
    return JsonResponse(
        threading.current_thread() is threading.main_thread(), safe=False)


async def crash(request):
    raise ValueError("in the view")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("sync", sync_hello),
    path("async", async_hello),
    path("meta/<path:rest>", lambda request, rest: meta(request)),
    path("notes/create", create),
    path("notes", titles),
    path("transaction", in_transaction),
    path("upload", upload),
    path("stream/<int:n>", stream),
    path("file", file),
    path("visits", visits),
    path("thread", thread),
    path("crash", crash),
]
