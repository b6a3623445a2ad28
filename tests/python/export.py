"""A plain export of a pool: one chain of pages, a CSV, an upload. The benchmark compares twinpool with it."""

import csv
import os
import tempfile

import boto3

pool, bucket = os.environ["POOL"], os.environ["BUCKET"]
cognito = boto3.client("cognito-idp")
header = cognito.get_csv_header(UserPoolId=pool)["CSVHeader"]
with tempfile.NamedTemporaryFile("w", newline="", encoding="utf-8") as file:
    rows = csv.DictWriter(file, header, restval="", extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    pages = cognito.get_paginator("list_users").paginate(UserPoolId=pool, PaginationConfig={"PageSize": 60})
    for page in pages:
        for user in page["Users"]:
            if user["UserStatus"] == "CONFIRMED":
                row = {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}
                rows.writerow(row | {"cognito:username": row["email"], "cognito:mfa_enabled": "true"})
    file.flush()
    boto3.client("s3").upload_file(file.name, bucket, "users.csv")
