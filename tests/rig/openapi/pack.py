"""Packs OpenAPI v3 documents of a real API server, and how Go spells their types, into one small file.

usage: pack.py TYPES.json OUT.json.gz GROUP/VERSION=DOCUMENT.json...

Paths are left out (the simulated server writes those of the kinds it serves), and every schema is kept once although
many documents repeat it. A document then is the list of its own kinds; what they reach is looked up again.
"""

import gzip
import json
import sys


def main() -> None:
    types, out, *documents = sys.argv[1:]
    with open(types, encoding="utf-8") as f:
        go = json.load(f)
    schemas: dict[str, object] = {}
    roots: dict[str, list[str]] = {}
    version = ""
    for argument in documents:
        group_version, path = argument.split("=", 1)
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        version = document["info"]["version"]
        group, _, v = group_version.rpartition("/")
        mine = []
        for name, schema in document["components"]["schemas"].items():
            kinds = schema.get("x-kubernetes-group-version-kind", [])
            here = [k for k in kinds if k["group"] == group and k["version"] == v]
            # Subresources of this group may be of a kind of another: Scale, Eviction.
            if here or len(kinds) == 1:
                mine.append(name)
            if len(kinds) > 1:  # Status and DeleteOptions list every group there is
                schema["x-kubernetes-group-version-kind"] = here or kinds[:1]
            schemas[name] = schema
        roots[group_version] = sorted(mine)
    seen: set[str] = set()
    todo = [name for names in roots.values() for name in names]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        text = json.dumps(schemas[name])
        todo += [part.split('"', 1)[0] for part in text.split('"#/components/schemas/')[1:]]
    packed = {
        "version": version,
        "roots": roots,
        "schemas": {name: schemas[name] for name in sorted(seen)},
        "go": {name: go[name] for name in sorted(go) if name in seen},
    }
    text = json.dumps(packed, separators=(",", ":")).encode()
    with open(out, "wb") as f:
        f.write(gzip.compress(text, 9, mtime=0))
    print(f"{len(seen)} schemas, {len(text)} bytes, in {len(roots)} documents", file=sys.stderr)


if __name__ == "__main__":
    main()
