"""`rowferry completion`: what a shell reads once, so that no process starts when somebody presses the tab key."""

import argparse
from importlib import metadata

import shtab

from rowferry.arguments import parser


def completion(options: argparse.Namespace) -> None:
    print(shtab.complete(parser(metadata.version("rowferry")), options.shell))
