"""Authlib as an OAuth client of a running broker; prints what it was answered as one JSON object."""

import json
import os
import sys

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

# The broker of the tests is on loopback, without TLS.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

asked = json.load(sys.stdin)
metadata = OAuth2Session().request("GET", asked["metadata_url"], withhold_token=True).json()


def session():
    client = OAuth2Session(asked["client_id"], ECKey.import_key(asked["private_key"]), token_endpoint_auth_method="private_key_jwt", revocation_endpoint_auth_method="private_key_jwt")
    client.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg="ES256"))
    return client


client = session()
token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", authorization_details=asked["authorization_details"], resource=asked["resource"])
live = client.introspect_token(metadata["introspection_endpoint"], token=token["access_token"], token_type_hint="access_token")
revoked = client.revoke_token(metadata["revocation_endpoint"], token=token["access_token"], token_type_hint="access_token")
dead = client.introspect_token(metadata["introspection_endpoint"], token=token["access_token"])
exchanged = session().fetch_token(
    metadata["token_endpoint"],
    grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token=asked["subject_token"],
    subject_token_type="urn:ietf:params:oauth:token-type:jwt",
    authorization_details=asked["authorization_details"],
    resource=asked["resource"],
)
try:
    session().fetch_token(metadata["token_endpoint"], grant_type="client_credentials", authorization_details="[]", resource=asked["resource"])
    refused = None
except Exception as error:  # what a program that uses Authlib would see
    refused = {"error": getattr(error, "error", None), "description": getattr(error, "description", None)}

print(json.dumps({"token": token, "live": live.json(), "revoked": revoked.status_code, "dead": dead.json(), "exchanged": exchanged, "refused": refused}))
