from django.contrib import admin
from django.db import models


class Note(models.Model):
    title = models.CharField(max_length=50)
    text = models.TextField(blank=True)
    made = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return self.title


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):
    list_display = ["title", "made"]
    search_fields = ["title"]
