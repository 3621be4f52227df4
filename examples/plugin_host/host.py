"""Loads plugins from archives, replaces them while they are in use, and takes them out again without a trace.

A plugin is a wheel whose metadata has entry points of the group "plugin_host": functions from text to text. Each is imported
below a package of its own, whose path is the root of its mount: `greeter` of version 1.0 is `plugin_greeter__1_0.greeter`, so two
versions are two modules. It finds its own modules by relative imports; what it imports by absolute names is everybody's.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint

import intact

GROUP = "plugin_host"
Function = Callable[[str], str]


class PluginError(Exception):
    """An archive that is no plugin, or a plugin that is not there."""


class Plugin:
    """What was loaded from one archive."""

    def __init__(self, mount: intact.Mount) -> None:
        distribution = _described(mount)
        self.mount, self.name, self.version = mount, distribution.name, distribution.version
        self.package = "__".join(re.sub(r"\W+", "_", part) for part in (f"plugin_{self.name}", self.version))
        self.entries = distribution.entry_points.select(group=GROUP)
        self.functions: dict[str, Function] = {}
        self.calls = 0  # under way, guarded by the host's lock

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def load(self) -> None:
        spec = ModuleSpec(self.package, None, is_package=True)
        spec.submodule_search_locations = [self.mount.root]
        sys.modules[self.package] = importlib.util.module_from_spec(spec)
        for entry in self.entries:
            self.functions[entry.name] = EntryPoint(entry.name, f"{self.package}.{entry.value}", GROUP).load()

    def forget(self) -> None:
        """Unmount, and forget what was imported from the archive, by whatever name."""
        inside = f"{self.package}."
        gone = [name for name, module in list(sys.modules.items()) if f"{name}.".startswith(inside) or self._has(module)]
        for name in gone:
            sys.modules.pop(name, None)
        self.mount.unmount()

    def _has(self, module: object) -> bool:
        """Whether all of a module is from the archive; a namespace package has no file, and may be of other places, too."""
        spec = getattr(module, "__spec__", None)
        found = [spec.origin] if spec and spec.has_location else (spec and spec.submodule_search_locations) or ()
        places = [str(place) for place in found]
        return bool(places) and all(place.startswith(f"{self.mount.root}/") for place in places)


class Host:
    """The plugins of a process, newest first. Any thread may call any method."""

    def __init__(self) -> None:
        self._plugins: list[Plugin] = []
        self._changed = threading.Condition()

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        return tuple(self._plugins)

    def load(self, archive: str) -> Plugin:
        """Import the plugin in `archive`, beside other versions of it."""
        mount = intact.mount(archive)
        try:
            plugin = Plugin(mount)
            self._add(plugin)
        except BaseException:
            mount.unmount()
            raise
        try:
            plugin.load()
        except BaseException:
            self.unload(plugin)
            raise
        return plugin

    def upgrade(self, archive: str) -> Plugin:
        """Load the plugin in `archive`, then unload the other versions of it."""
        plugin = self.load(archive)
        for other in self.plugins:
            if other.name == plugin.name and other is not plugin:
                self.unload(other)
        return plugin

    def unload(self, plugin: Plugin) -> None:
        """Take a plugin out, once the calls that are under way have ended (so not from one of them)."""
        with self._changed:
            if plugin not in self._plugins:
                return
            self._plugins.remove(plugin)
            self._changed.wait_for(lambda: plugin.calls == 0)
        plugin.forget()

    def call(self, function: str, text: str, version: str | None = None) -> str:
        """Call a function, of the newest plugin that has it or of that `version`."""
        with self._changed:
            plugin = self._find(function, version)
            plugin.calls += 1
        try:
            return plugin.functions[function](text)
        finally:
            with self._changed:
                plugin.calls -= 1
                self._changed.notify_all()

    def _add(self, plugin: Plugin) -> None:
        with self._changed:
            for other in self._plugins:
                if other.package == plugin.package or other.mount.root == plugin.mount.root:
                    raise PluginError(f"{other} is loaded, from {other.mount.root}")
            self._plugins.insert(0, plugin)

    def _find(self, function: str, version: str | None) -> Plugin:
        for plugin in self._plugins:
            if function in plugin.functions and version in (None, plugin.version):
                return plugin
        raise PluginError(f"no plugin has {function}" + (f" in version {version}" if version else ""))


def _described(mount: intact.Mount) -> Distribution:
    """The distribution in an archive that has our entry points. Others may be what it needs."""
    found = [
        distribution
        for distribution in importlib.metadata.distributions(path=[mount.root])
        if distribution.entry_points.select(group=GROUP)
    ]
    if len(found) != 1:
        raise PluginError(f"{mount.name} has {len(found)} distributions with entry points of group {GROUP}, not one")
    return found[0]
