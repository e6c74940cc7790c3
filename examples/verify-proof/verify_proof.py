#!/usr/bin/env python3
"""Verifies a Mayfly audit proof without Mayfly.

    verify_proof.py proof.json 'prod/mayfly-audit+1b2f9c0a+AQ...' [more keys]

Needs Python 3.8 or later, its standard library, and `openssl` 3 for the one signature. It shares no code with Mayfly and
follows the published texts: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, RFC 6962 section 2.1, RFC 9162 sections
2.1.3.2 and 2.1.4.2. Prints what is proven and exits with 0, or says what is wrong and exits with 1.
"""
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

# What stands before a raw Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 section 4).
SPKI = bytes.fromhex("302a300506032b6570032100")
ED25519 = 1


class Refused(Exception):
    pass


def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text, length):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("not base64: %r" % text)
    if len(data) != length:
        raise Refused("%d bytes where %d belong" % (len(data), length))
    return data


# --- signed notes ---------------------------------------------------------------------------------------------------


def parse_key(text):
    """`name+hash+base64(type || key)`; answers name, id and raw key."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise Refused("not a verifier key: %r" % text)
    name, stated, encoded = parts
    typed = unbase64(encoded, 33)
    key_id = sha256(name.encode() + b"\n" + typed)[:4]
    if typed[0] != ED25519 or key_id.hex() != stated:
        raise Refused("not a verifier key for Ed25519, or its id is not that of its key: %r" % text)
    return name, key_id, typed[1:]


def signed_by(key, message, signature):
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(SPKI + key) + b"\n-----END PUBLIC KEY-----\n"
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, data in (("key", pem), ("message", message), ("signature", signature)):
            paths[name] = os.path.join(folder, name)
            with open(paths[name], "wb") as file:
                file.write(data)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", paths["key"], "-rawin", "-in", paths["message"], "-sigfile", paths["signature"]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    return done.returncode == 0


def open_note(note, keys):
    """The text of a note that one of the keys signed, and the name of that key."""
    end = note.rfind("\n\n")
    if end == -1:
        raise Refused("not a signed note")
    text = note[: end + 1]
    for line in note[end + 2 :].split("\n"):
        match = re.fullmatch("\u2014 (\\S+) (\\S+)", line)
        if match is None:
            continue
        try:
            signature = unbase64(match.group(2), 4 + 64)
        except Refused:
            continue
        for name, key_id, key in keys:
            if name == match.group(1) and key_id == signature[:4] and signed_by(key, text.encode(), signature[4:]):
                return text, name
    raise Refused("the checkpoint is not signed by any of the given keys, or was changed")


def open_checkpoint(note, keys):
    text, signer = open_note(note, keys)
    lines = text.split("\n")
    if len(lines) < 4 or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
        raise Refused("the note is signed, and is no checkpoint")
    if lines[0] != signer:
        raise Refused("the checkpoint is of the log %s, and signed for %s" % (lines[0], signer))
    return {"origin": lines[0], "size": int(lines[1]), "root": unbase64(lines[2], 32)}


# --- Merkle trees ---------------------------------------------------------------------------------------------------


def leaf_hash(data):
    return sha256(b"\x00" + data)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def included(leaf, index, size, path, root):
    if not 0 <= index < size:
        return False
    fn, sn, hash_ = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            hash_ = node_hash(sibling, hash_)
            if not fn & 1:
                while fn != 0 and not fn & 1:
                    fn >>= 1
                    sn >>= 1
        else:
            hash_ = node_hash(hash_, sibling)
        fn >>= 1
        sn >>= 1
    return sn == 0 and hash_ == root


def consistent(old, new, path):
    if not 0 < old["size"] <= new["size"]:
        return False
    if old["size"] == new["size"]:
        return not path and old["root"] == new["root"]
    if old["size"] & (old["size"] - 1) == 0:
        path = [old["root"]] + path
    if not path:
        return False
    fn, sn = old["size"] - 1, new["size"] - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for hash_ in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr = node_hash(hash_, fr)
            sr = node_hash(hash_, sr)
            if not fn & 1:
                while fn != 0 and not fn & 1:
                    fn >>= 1
                    sn >>= 1
        else:
            sr = node_hash(sr, hash_)
        fn >>= 1
        sn >>= 1
    return sn == 0 and fr == old["root"] and sr == new["root"]


# --- bundles --------------------------------------------------------------------------------------------------------


def verify(bundle, keys):
    if bundle.get("format") == "mayfly-audit-consistency/v1":
        old, new = open_checkpoint(bundle["old"], keys), open_checkpoint(bundle["new"], keys)
        if old["origin"] != new["origin"]:
            raise Refused("the checkpoints are of two logs")
        if not consistent(old, new, [unbase64(hash_, 32) for hash_ in bundle["path"]]):
            raise Refused("the log of %d records does not begin with that of %d, by this proof" % (new["size"], old["size"]))
        yield "%s: the log of %d records continues that of %d, both signed" % (new["origin"], new["size"], old["size"])
        return
    if bundle.get("format") != "mayfly-audit-proof/v1":
        raise Refused("not a proof that this program knows")
    checkpoint = open_checkpoint(bundle["checkpoint"], keys)
    if not bundle["records"]:
        raise Refused("it holds no record")
    for one in bundle["records"]:
        leaf = leaf_hash(one["leaf"].encode())
        if not included(leaf, one["index"], checkpoint["size"], [unbase64(hash_, 32) for hash_ in one["path"]], checkpoint["root"]):
            raise Refused("record %d is not in the log of %d records, by this proof" % (one["index"] + 1, checkpoint["size"]))
        record = json.loads(one["leaf"])
        if record["seq"] != one["index"] + 1:
            raise Refused("leaf %d is record %d" % (one["index"], record["seq"]))
        event = record["event"]
        yield "record %d: %s at %s" % (record["seq"], event["type"], event.get("at", record["sealed_at"]))
    yield "in the signed log %s of %d records" % (checkpoint["origin"], checkpoint["size"])


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as file:
            bundle = json.load(file)
        # Nothing is said before all of it is proven.
        lines = list(verify(bundle, [parse_key(key) for key in arguments[1:]]))
    except OSError as error:
        print("cannot read %s: %s" % (arguments[0], error.strerror), file=sys.stderr)
        return 2
    except (Refused, KeyError, TypeError, ValueError, AttributeError) as error:
        print("proves nothing: %s" % error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
