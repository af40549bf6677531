import sys

from audit.sealing.process import main

sys.exit(main(sys.argv[1:]))
