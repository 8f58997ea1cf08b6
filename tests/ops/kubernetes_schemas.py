# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON schemas of Kubernetes' objects, as kubeconform looks for them, from the description of the
API that the module k8s.io/kubernetes carries.

    kubernetes_schemas.py SWAGGER FOLDER
"""

import json
import pathlib
import sys

MIXED = {"int-or-string": ["integer", "string"], "quantity": ["number", "string"]}


def strict(schema, name=""):
    """Unknown fields are mistakes; a field that may be a number or a text may be either."""
    if schema.get("format") in MIXED:
        return {"type": MIXED[schema["format"]]}
    if name.endswith(".Quantity"):
        return {"type": MIXED["quantity"]}
    found = {k: v for k, v in schema.items() if not k.startswith("x-") and k != "description"}
    if "properties" in schema:
        found["properties"] = {k: strict(v) for k, v in schema["properties"].items()}
        found["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        found["items"] = strict(schema["items"])
    if "$ref" in schema:
        found["$ref"] = "definitions.json" + schema["$ref"]
    return found


def main(swagger, folder):
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: strict(schema, name) for name, schema in definitions.items()}
    (folder / "definitions.json").write_text(json.dumps({"definitions": whole}))
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            words = [kind["kind"], *([group] if group else []), kind["version"]]
            reference = {"$ref": f"definitions.json#/definitions/{name}"}
            (folder / ("-".join(words).lower() + ".json")).write_text(json.dumps(reference))


if __name__ == "__main__":
    main(*sys.argv[1:])
