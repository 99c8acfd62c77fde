"""serve_fastpysgi.py MODULE:ATTR PORT"""

import importlib
import os
import sys

import fastpysgi

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
module, attribute = sys.argv[1].split(":")
app = getattr(importlib.import_module(module), attribute)
fastpysgi.run(app, host="127.0.0.1", port=int(sys.argv[2]), loglevel=0)
