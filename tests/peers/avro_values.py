# SPDX-License-Identifier: GPL-3.0-or-later
"""Avro values of the mirror, read by fastavro with the published schemas, and what a JSON value of
the same row says in the same types."""

import io
import json
from decimal import Decimal

import fastavro
import fastavro.schema
import support

FOLDER = support.ROOT / "docs" / "schema"
MAGIC = b"\xc3\x01"
HEADER_BYTES = 10


def text_of(channel):
    return (FOLDER / f"{channel}.avsc").read_text()


def fingerprint(schema):
    """As it stands in a message: CRC-64-AVRO of the Parsing Canonical Form, little-endian."""
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


def load():
    """(channel, schema) by fingerprint."""
    found = {}
    for path in sorted(FOLDER.glob("*.avsc")):
        schema = json.loads(path.read_text())
        found[fingerprint(schema)] = (path.stem, fastavro.parse_schema(schema))
    return found


SCHEMAS = load()


def decode(value, reader=None):
    """(channel, row) of a message's value, to the last byte."""
    assert value[:2] == MAGIC
    channel, schema = SCHEMAS[value[2:HEADER_BYTES]]
    rest = io.BytesIO(value[HEADER_BYTES:])
    row = fastavro.schemaless_reader(rest, schema, reader)
    assert rest.read() == b"", "bytes behind the row"
    return channel, row


def branch(kind):
    """The type of a field beside null."""
    return next(k for k in kind if k != "null") if isinstance(kind, list) else kind


def in_type(kind, value):
    if value is None:
        return None
    kind = branch(kind)
    if isinstance(kind, dict) and kind.get("logicalType") == "decimal":
        return Decimal(value)
    if isinstance(kind, dict) and kind["type"] == "array":
        fields = kind["items"]["fields"]
        return [{f["name"]: in_type(f["type"], level[f["name"]]) for f in fields}
                for level in value]  # fmt: skip
    return value.encode() if kind == "bytes" else value


def of_json(channel, row):
    """A row of JSON as decode() would give it; every key must have its field."""
    fields = json.loads(text_of(channel))["fields"]
    assert set(row) <= {field["name"] for field in fields}, set(row)
    return {f["name"]: in_type(f["type"], row.get(f["name"])) for f in fields}
