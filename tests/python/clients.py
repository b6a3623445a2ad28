"""Sign-in by a proof of the password with an unmodified pycognito, which also verifies the tokens, and the calls of boto3 around it.

The test that runs this answers the questions that it writes to its output.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import time
import urllib.request

import boto3
from botocore.exceptions import ClientError
from pycognito import Cognito
from pycognito.aws_srp import AWSSRP
from pycognito.exceptions import SoftwareTokenMFAChallengeException

pool, client, endpoint = (os.environ[f"TOKYO_{name}"] for name in ("POOL", "CLIENT", "ENDPOINT"))
# pycognito reads the keys from here or from the issuer, which is not on this machine.
os.environ["COGNITO_JWKS"] = urllib.request.urlopen(f"{endpoint}/{pool}/.well-known/jwks.json").read().decode()

PERSON, PASSWORD = "saburo@example.jp", "Correct-Horse-1"
cognito = boto3.client("cognito-idp")


def code(to):
    print(json.dumps({"ask": "code", "city": "TOKYO", "to": to}), flush=True)
    return json.loads(input())


def one_time_password(secret, step):
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def refused(expected, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        assert error.response["Error"]["Code"] == expected, error
    else:
        raise AssertionError(f"{expected} expected")


cognito.sign_up(ClientId=client, Username=PERSON, Password=PASSWORD)
cognito.confirm_sign_up(ClientId=client, Username=PERSON, ConfirmationCode=code(PERSON))


def proof(password):
    return AWSSRP(username=PERSON, password=password, pool_id=pool, client_id=client, client=cognito)


refused("NotAuthorizedException", proof("Wrong-Horse-1").authenticate_user)
asked = proof(PASSWORD).authenticate_user()
assert asked["ChallengeName"] == "MFA_SETUP", asked
associated = cognito.associate_software_token(Session=asked["Session"])
secret, now = associated["SecretCode"], int(time.time()) // 30
verified = cognito.verify_software_token(Session=associated["Session"], UserCode=one_time_password(secret, now - 1))
signed_in = cognito.respond_to_auth_challenge(
    ClientId=client,
    ChallengeName="MFA_SETUP",
    Session=verified["Session"],
    ChallengeResponses={"USERNAME": PERSON},
)
assert signed_in["AuthenticationResult"]["RefreshToken"]

# pycognito verifies the signature, the issuer and the audience of each token.
person = Cognito(pool, client, username=PERSON)
try:
    person.authenticate(PASSWORD)
except SoftwareTokenMFAChallengeException as asked:
    person.respond_to_software_token_mfa_challenge(one_time_password(secret, now), asked.get_tokens())
assert person.id_claims["email"] == PERSON, person.id_claims
former = person.access_token
person.renew_access_token()
assert person.access_token != former
assert person.get_user().email == PERSON
refresh_token = person.refresh_token
person.logout()
person.refresh_token = refresh_token
refused("NotAuthorizedException", person.renew_access_token)
