"""The host at a prompt: `python -m plugin_host`, then `help`."""

from __future__ import annotations

import cmd

from plugin_host.host import Host, PluginError


class Prompt(cmd.Cmd):
    prompt = "> "

    def __init__(self) -> None:
        super().__init__()
        self.host = Host()

    def onecmd(self, line: str) -> bool:
        try:
            return super().onecmd(line)
        except Exception as error:  # a plugin may raise anything
            self.say(f"{type(error).__name__}: {error}")
            return False

    def emptyline(self) -> bool:
        return False

    def say(self, text: str) -> None:
        print(text, file=self.stdout)

    def do_load(self, archive: str) -> None:
        """load ARCHIVE: load a plugin, beside other versions of it"""
        self.say(f"loaded {self.host.load(archive)}")

    def do_upgrade(self, archive: str) -> None:
        """upgrade ARCHIVE: load a plugin in the place of other versions of it"""
        self.say(f"upgraded to {self.host.upgrade(archive)}")

    def do_unload(self, name: str) -> None:
        """unload NAME VERSION: take a plugin out"""
        for plugin in self.host.plugins:
            if str(plugin) == name:
                self.host.unload(plugin)
                return self.say(f"unloaded {plugin}")
        raise PluginError(f"{name} is not loaded")

    def do_list(self, _: str) -> None:
        """list: what is loaded, and the functions that it has"""
        for plugin in self.host.plugins:
            self.say(f"{plugin}: {', '.join(plugin.functions)}")

    def do_call(self, line: str) -> None:
        """call FUNCTION[==VERSION] TEXT: call a function of a plugin"""
        function, _, text = line.partition(" ")
        name, _, version = function.partition("==")
        self.say(self.host.call(name, text, version or None))

    def do_EOF(self, _: str) -> bool:
        """Ctrl-D ends the host."""
        return True


if __name__ == "__main__":
    try:
        Prompt().cmdloop()
    except KeyboardInterrupt:
        print()
