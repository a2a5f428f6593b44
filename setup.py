"""Puts the example that `nightproof demo` runs into the wheel; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXAMPLE = Path("examples", "weekly_report")


class WithExample(build_py):
    """A wheel has no clone around it, where the example lies otherwise."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib, "nightproof", "_examples", "weekly_report")
        for source in sorted(EXAMPLE.rglob("*")):
            if source.is_file() and "__pycache__" not in source.parts:
                target = place / source.relative_to(EXAMPLE)
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": WithExample})
