"""What `spark-submit` is given: the pipeline of the Python environment that it runs in."""

import sys

from pipeline.__main__ import main

sys.exit(main())
