"""Holds events of OCSF to its published schema: reads {"versions": [...], "events": [...]}, prints the faults of each event."""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

asked = json.load(sys.stdin)
faults = [[] for _ in asked["events"]]
for version in asked["versions"]:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
    validators = {}
    for event, found in zip(asked["events"], faults):
        uid = event["class_uid"]
        if uid not in validators:
            name = schema.lookup_class_name_from_uid(class_uid=uid)
            validators[uid] = Draft202012Validator(schema.get_class_schema(class_name=name, profiles=[]))
        found += [f"{version} {error.json_path}: {error.message}" for error in validators[uid].iter_errors(event)]
print(json.dumps(faults))
