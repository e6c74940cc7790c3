#!/usr/bin/env python3
"""An agent that works through Mayfly, with nothing but Python's standard library.

It declares a task, gets one credential for one tool call, says what it did with it, completes, and shows that the
credential died with the task. Run it beside a development stack (`npm start`):

    python3 examples/refund-agent/refund_agent.py [path of dev.json]
"""

import json
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path


class Mayfly:
    """Four calls over HTTP, with the token that proves who the agent is."""

    def __init__(self, url, token_file):
        self.url = url
        self.token_file = Path(token_file)

    def declare(self, declaration):
        return self._post("/v1/tasks", declaration, {"Idempotency-Key": str(uuid.uuid4())})

    def credential(self, task, name, tool_call):
        body = {"name": name, "ttl_seconds": 60, "tool_call": tool_call}
        answer = self._post(f"/v1/tasks/{task}/credentials", body, {"Idempotency-Key": tool_call["id"]})
        return answer["credentials"][0]

    def report(self, task, tool_call, outcome, lease):
        return self._post(f"/v1/tasks/{task}/tool-calls", {**tool_call, "outcome": outcome, "lease_id": lease})

    def complete(self, task, outcome):
        return self._post(f"/v1/tasks/{task}/complete", {"outcome": outcome})

    def _post(self, path, body, headers=None):
        # Read each time: whoever issues the token writes a fresh one before the old one ends.
        token = self.token_file.read_text().strip()
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            raise SystemExit(f"Mayfly answered {error.code} {problem['code']}: {problem['detail']}") from None


def read_vault(address, path, token):
    """What OpenBao answers to a read with this token: its data, or the status of its refusal."""
    request = urllib.request.Request(f"{address}/v1/{path}", headers={"X-Vault-Token": token})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["data"]
    except urllib.error.HTTPError as error:
        return error.code


def main():
    stack_file = Path(sys.argv[1] if len(sys.argv) > 1 else ".mayfly/dev.json")
    if not stack_file.exists():
        raise SystemExit(f"There is no development stack at {stack_file}: start one with `npm start`.")
    stack = json.loads(stack_file.read_text())
    if stack["openbao"] is None:
        raise SystemExit("This example needs OpenBao; the stack runs without it.")
    vault = stack["openbao"]["address"]
    mayfly = Mayfly(stack["url"], stack["agent_token_file"])

    task = mayfly.declare(
        {
            "purpose": "refund-investigation",
            "justification": "order 96 is disputed",
            "actions": ["read"],
            "ttl_seconds": 120,
            "credentials": [{"name": "task-reference"}],
        }
    )["task"]
    print(f"declared   task {task['id']} until {task['expires_at']}")

    outcome = "failed"
    try:
        tool_call = {"id": f"call_{uuid.uuid4()}", "tool": "kv.read"}
        credential = mayfly.credential(task["id"], "vault-token", tool_call)
        token = credential["secret"]["token"]
        print(f"granted    {credential['name']} for {tool_call['tool']}: lease {credential['lease_id']}")
        shipping = read_vault(vault, "kv/data/orders/shipping", token)["data"]
        mayfly.report(task["id"], tool_call, "succeeded", credential["lease_id"])
        print(f"worked     {tool_call['tool']}: shipped by {shipping['carrier']}")
        outcome = "succeeded"
    finally:
        for lease in mayfly.complete(task["id"], outcome)["credentials"]:
            print(f"completed  {lease['name']}: {lease['state']}")

    print(f"proof      OpenBao about the token: {read_vault(vault, 'auth/token/lookup-self', token)}")


if __name__ == "__main__":
    main()
