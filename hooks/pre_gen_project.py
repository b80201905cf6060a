"""Second line of defence against bad answers; the first is in scalable_ml_answers.py.

Cookiecutter renders this file and runs the copy. The answers come in as data: base64 of JSON.
"""

import base64
import json
import sys

DATA = json.loads(base64.b64decode("{{ cookiecutter | as_data }}"))


def main() -> int:
    sys.path.insert(0, DATA["template"])
    from scalable_ml_answers import refusals

    messages = refusals(DATA["answers"])
    for message in messages:
        print(message, file=sys.stderr)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
