"""What pyproject.toml cannot say: a wheel holds the GUI where that is built (`make client`). Its bundles are not in the repository."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUILT = Path(__file__).resolve().parent.parent / "client" / "dist"


class WithGui(build_py):
    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / "tsir" / "gui"
        shutil.rmtree(target, ignore_errors=True)
        if (BUILT / "index.html").is_file() and not self.editable_mode:
            shutil.copytree(BUILT, target, ignore=shutil.ignore_patterns(".*"))


setup(cmdclass={"build_py": WithGui})
