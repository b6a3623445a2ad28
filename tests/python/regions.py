"""Calls of a person and an operator with an unmodified boto3. Region, endpoint and keys come from the environment."""

import os
import urllib.request

import boto3
from botocore.exceptions import ClientError

pool, client, bucket = (os.environ[name] for name in ("POOL", "CLIENT", "BUCKET"))
cognito = boto3.client("cognito-idp")
s3 = boto3.client("s3")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} expected")


# A sign-up. An administrator confirms it, because this script cannot read the code in the email.
person = "hanako@example.jp"
cognito.sign_up(ClientId=client, Username=person, Password="Correct-horse-1")
refused("CodeMismatchException", cognito.confirm_sign_up, ClientId=client, Username=person, ConfirmationCode="000000")
cognito.admin_confirm_sign_up(UserPoolId=pool, Username=person)
user = cognito.admin_get_user(UserPoolId=pool, Username=person)
assert user["UserStatus"] == "CONFIRMED", user
refused("UserNotFoundException", cognito.admin_get_user, UserPoolId=pool, Username="nobody@example.jp")

# Enough users for three pages.
for n in range(130):
    cognito.admin_create_user(UserPoolId=pool, Username=f"person{n}@example.jp", MessageAction="SUPPRESS")
pages = list(cognito.get_paginator("list_users").paginate(UserPoolId=pool))
names = [user["Username"] for page in pages for user in page["Users"]]
assert len(names) == len(set(names)) == 131 and len(pages) == 3, (len(names), len(pages))

# Objects.
body = "配列,".encode() * 1000
for n in range(3):
    s3.put_object(Bucket=bucket, Key=f"outbox/{n} é+&%41.json", Body=body)
answer = s3.get_object(Bucket=bucket, Key="outbox/1 é+&%41.json")
assert answer["Body"].read() == body
listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="outbox/")["Contents"]]
assert listed == [f"outbox/{n} é+&%41.json" for n in range(3)], listed
refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="outbox/1 é+&%41.json", Body=b"", IfNoneMatch="*")
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "outbox/1 é+&%41.json"})
assert urllib.request.urlopen(url).read() == body
s3.delete_object(Bucket=bucket, Key="outbox/1 é+&%41.json")
assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="outbox/1 é+&%41.json")
refused("NoSuchBucket", s3.list_objects_v2, Bucket="twinpool-snapshots")
