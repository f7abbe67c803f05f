"""The Django app: nothing is opened or started here; the checks and the command are made known."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.test.signals import setting_changed

from meshware.inbound.django import checks
from meshware.inbound.django.mesh import follow


class MeshwareConfig(AppConfig):
    """`meshware.inbound.django` in INSTALLED_APPS."""

    name = "meshware.inbound.django"
    label = "meshware"
    verbose_name = "meshware"

    def ready(self) -> None:
        """Make the checks known, and follow `override_settings`."""
        register(checks.settings_are_right, checks.TAG)
        register(checks.middleware_is_there_once, checks.TAG)
        setting_changed.connect(follow, dispatch_uid="meshware")
