"""twinpool deployed on this machine: the stacks by the real cdk, the real functions, and AWS by ministack.

Deploys all ways, sends people through, deploys again, destroys, and says of each step what came of it. It works on a
copy of this app, so that nobody's configuration is touched, and reaches no AWS account.
"""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import boto3

CDK = Path(__file__).resolve().parent.parent
WORKSPACE = CDK.parent
BINARIES = WORKSPACE / "target/release"
# Laid out as the workspace, since the app finds the functions beside itself.
COPY = WORKSPACE / "target/deploy-local"

PRIMARY, SECONDARY = "ap-northeast-1", "ap-northeast-3"
STACKS = {PRIMARY: "TwinpoolPrimary", SECONDARY: "TwinpoolSecondary"}
SINGLE = "TwinpoolBackup"
ACCOUNT = "000000000000"


def main():
    begun = time.monotonic()

    def done(what):
        print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

    lay_out()
    configure()
    with emulator():
        cdk("bootstrap", *(f"aws://{ACCOUNT}/{region}" for region in STACKS))
        done("AWS by ministack, both regions bootstrapped")

        deploy()
        first = Twin()
        first.is_attached()
        first.is_fenced()
        done("from nothing: both stacks deployed, triggers attached, fence before the secondary pool")
        first.replicates("hanako@example.jp", "37d4da28-9031-70e9-1111-0123456789ab")
        done("a confirmation in the primary pool became a replica in the secondary one")
        waiting = first.defer("taro@example.jp")
        first.backup.snapshots("jiro@example.jp")
        done("a sign-up in the secondary pool woke the worker, and a snapshot with the newcomer landed in the bucket")
        first.restore.would_bring("jiro@example.jp")
        done("restore-fn in the primary region read it there, and said that it would bring the newcomer")

        events = first.stack_events()
        deploy()
        cdk("diff", "--fail")
        check(first.stack_events() == events, "a second deploy changed something")
        done("a second deploy changed nothing")
        first.drains("taro@example.jp", *waiting)
        done("the minute's tick made a replica of a record in the outbox, and set aside one that can never be one")

        kept = first.what_stays()
        cdk("destroy", "--all", "--force")
        lost = kept - first.what_stays()
        check(not lost, f"destroy took away {lost}")
        workers = [name for region in STACKS for name in listed(region) if name in first.workers()]
        check(not workers, f"destroy left {workers}")
        first.replicates("goro@example.jp", "47d4da28-9031-70e9-1111-0123456789ab")
        done("destroyed: pools, buckets and keys are still there, and the pools' triggers answer")

        pools = first.describe_pools()
        configure(existing=first.pools)
        deploy()
        second = Twin()
        check(second.pools == first.pools, "the stacks are not around the pools of the configuration")
        check(second.describe_pools() == pools, f"an existing pool was changed: {pools}")
        second.is_fenced()
        done("around those pools: both stacks deployed, the fence as asked for, the pools unchanged")
        second.replicates("saburo@example.jp", "57d4da28-9031-70e9-1111-0123456789ab")
        second.backup.snapshots("shiro@example.jp")
        second.restore.would_bring("shiro@example.jp")
        done("a replica and a snapshot here too, and restore-fn would bring its newcomer")

        configure(twin=False)
        deploy()
        backup = Backup(PRIMARY, SINGLE)
        backup.is_attached()
        backup.snapshots("rokuro@example.jp")
        done("without a twin: one stack deployed, trigger attached, and a sign-up is in a snapshot")
        backup.forget("rokuro@example.jp")
        Restore(SINGLE, backup).would_bring("rokuro@example.jp")
        done("someone who was deleted is someone whom restore-fn would bring back")


class Twin:
    """Both regions as deployed. What is where is read from the functions, whose variables are a contract."""

    def __init__(self):
        self.primary = functions(PRIMARY, STACKS[PRIMARY])
        self.backup = Backup(SECONDARY, STACKS[SECONDARY])
        self.restore = Restore(STACKS[PRIMARY], self.backup)
        variables = self.primary["worker"]["Environment"]["Variables"]
        self.outbox = variables["OUTBOX_BUCKET"]
        self.pools = {PRIMARY: variables["SOURCE_USER_POOL_ID"], SECONDARY: variables["TARGET_USER_POOL_ID"]}
        check(self.backup.pool == self.pools[SECONDARY], "the stacks disagree about the secondary pool")
        check(self.restore.pool == self.pools[PRIMARY], "restore-fn is not for the primary pool")

    def workers(self):
        """The functions that go with the stacks."""
        return [
            self.primary["worker"]["FunctionName"],
            self.primary["restore"]["FunctionName"],
            self.backup.functions["worker"]["FunctionName"],
        ]

    def describe_pools(self):
        return {region: describe_pool(region, pool) for region, pool in self.pools.items()}

    def is_attached(self):
        attached = self.describe_pools()[PRIMARY]["LambdaConfig"].get("PostConfirmation")
        check(attached == self.primary["trigger"]["FunctionArn"], f"{PRIMARY}: the trigger is {attached}")
        self.backup.is_attached()

    def is_fenced(self):
        waf = client("wafv2", SECONDARY)
        acls = [acl["ARN"] for acl in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]]
        fenced = [waf.list_resources_for_web_acl(WebACLArn=acl, ResourceType="COGNITO_USER_POOL") for acl in acls]
        fenced = [pool for resources in fenced for pool in resources["ResourceArns"]]
        check(fenced == [self.describe_pools()[SECONDARY]["Arn"]], f"the fence is before {fenced}")

    def replicates(self, email, sub):
        self.confirm(email, sub)
        self.is_replica(email, sub)

    def confirm(self, email, sub):
        confirm(PRIMARY, self.pools[PRIMARY], self.primary["trigger"], email, sub)

    def defer(self, email):
        """A person whom the trigger could not replicate two hours ago, and one without an address: their subs."""
        sub = person(PRIMARY, self.pools[PRIMARY], email)
        record = {
            "version": 1,
            "trigger": "PostConfirmation_ConfirmSignUp",
            "pool": self.pools[PRIMARY],
            "username": sub,
            "sub": sub,
            "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7200)),
            "attributes": {"email": email, "email_verified": "true"},
        }
        s3 = client("s3", PRIMARY)
        s3.put_object(Bucket=self.outbox, Key=f"outbox/{sub}.json", Body=json.dumps(record).encode())
        nobody = "67d4da28-9031-70e9-1111-0123456789ab"
        self.confirm(None, nobody)
        return sub, nobody

    def drains(self, email, sub, nobody):
        s3 = client("s3", PRIMARY)
        wait_for(
            "the outbox to be drained",
            lambda: s3.list_objects_v2(Bucket=self.outbox, Prefix="outbox/")["KeyCount"] == 0,
        )
        self.is_replica(email, sub)
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=self.outbox)["Contents"]]
        check(keys == [f"conflicts/{nobody}.json"], f"the outbox's bucket holds {keys}")

    def is_replica(self, email, sub):
        cognito = client("cognito-idp", SECONDARY)
        user = cognito.admin_get_user(UserPoolId=self.pools[SECONDARY], Username=email)
        attributes = {a["Name"]: a["Value"] for a in user["UserAttributes"]}
        is_replica = user["UserStatus"] == "CONFIRMED" and attributes.get("custom:origin_sub") == sub
        check(is_replica, f"not a replica: {user['UserStatus']} {attributes}")

    def stack_events(self):
        events = {}
        for region, stack in STACKS.items():
            pages = client("cloudformation", region).get_paginator("describe_stack_events").paginate(StackName=stack)
            events[region] = [event["EventId"] for page in pages for event in page["StackEvents"]]
        return events

    def what_stays(self):
        """The people of the pools, the objects of the buckets, and the keys that are good."""
        stays = set()
        for region, pool in self.pools.items():
            kms = client("kms", region)
            stays |= {(pool, username) for username in people(region, pool)}
            keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
            stays |= {(region, key["KeyId"]) for key in keys if key["KeyState"] == "Enabled"}
        for region, bucket in [(PRIMARY, self.outbox), (SECONDARY, self.backup.bucket)]:
            objects = client("s3", region).list_objects_v2(Bucket=bucket)["Contents"]
            stays |= {(bucket, found["Key"]) for found in objects}
        return stays


class Backup:
    """A pool with backup-fn as deployed."""

    def __init__(self, region, stack):
        self.region, self.functions = region, functions(region, stack)
        variables = self.functions["worker"]["Environment"]["Variables"]
        self.pool, self.bucket = variables["USER_POOL_ID"], variables["S3_BUCKET_NAME"]

    def is_attached(self):
        attached = describe_pool(self.region, self.pool)["LambdaConfig"].get("PostConfirmation")
        check(attached == self.functions["trigger"]["FunctionArn"], f"{self.region}: the trigger is {attached}")

    def snapshots(self, email):
        """Somebody signs up in the pool, which the journal's notification is to wake the worker for."""
        sub = person(self.region, self.pool, email)
        count = len(people(self.region, self.pool))
        confirm(self.region, self.pool, self.functions["trigger"], email, sub)
        s3 = client("s3", self.region)
        wait_for("a snapshot", lambda: s3.list_objects_v2(Bucket=self.bucket, Prefix="latest.json")["KeyCount"])
        manifest = json.loads(self.read(json.loads(self.read("latest.json"))["manifest"]))
        check(manifest["users"]["listed"] >= count, f"not everyone is in the snapshot: {manifest}")
        check(manifest["users"]["newcomers"] == 1, f"the newcomer is not in the snapshot: {manifest}")
        for file in manifest["files"]:
            size = s3.head_object(Bucket=self.bucket, Key=file["key"])["ContentLength"]
            check(size == file["bytes"], f"{file['key']} has {size} bytes, not {file['bytes']}")

    def forget(self, email):
        client("cognito-idp", self.region).admin_delete_user(UserPoolId=self.pool, Username=email)

    def read(self, key):
        return client("s3", self.region).get_object(Bucket=self.bucket, Key=key)["Body"].read()


class Restore:
    """restore-fn as deployed in the primary region, for the snapshots of a backup."""

    def __init__(self, stack, backup):
        self.function, self.backup = functions(PRIMARY, stack)["restore"], backup
        variables = self.function["Environment"]["Variables"]
        self.pool = variables["USER_POOL_ID"]
        of = variables["S3_BUCKET_NAME"], variables["S3_BUCKET_REGION"]
        check(of == (backup.bucket, backup.region), f"restore-fn reads from {of}")

    def would_bring(self, email):
        """A dry run: ministack has no import jobs."""
        before = people(PRIMARY, self.pool)
        answer = invoke(PRIMARY, self.function, {"dry_run": True})
        report = json.loads(self.backup.read(answer["report"]))
        folder = answer["report"].rpartition("/")[0]
        rows = self.backup.read(f"{folder}/import-0001.csv").decode().splitlines()[1:]
        check(any(email in row for row in rows), f"nobody would be brought: {answer} {report}")
        check(people(PRIMARY, self.pool) == before, "a dry run changed the pool")


def describe_pool(region, pool):
    return client("cognito-idp", region).describe_user_pool(UserPoolId=pool)["UserPool"]


def people(region, pool):
    """The usernames of a pool."""
    users = client("cognito-idp", region).list_users(UserPoolId=pool)["Users"]
    return sorted(user["Username"] for user in users)


def person(region, pool, email):
    """Somebody who is in a pool: their sub."""
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    cognito = client("cognito-idp", region)
    where = {"UserPoolId": pool, "Username": email}
    cognito.admin_create_user(**where, UserAttributes=attributes, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**where, Password="Correct-horse-7-battery", Permanent=True)
    attributes = cognito.admin_get_user(**where)["UserAttributes"]
    return next(a["Value"] for a in attributes if a["Name"] == "sub")


def confirm(region, pool, trigger, email, sub):
    """What a pool tells its trigger when somebody confirms; ministack's own pools do not."""
    attributes = {"sub": sub, "cognito:user_status": "CONFIRMED"}
    event = {
        "version": "1",
        "region": region,
        "userPoolId": pool,
        "userName": sub,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "local"},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {"userAttributes": attributes | ({"email": email, "email_verified": "true"} if email else {})},
        "response": {},
    }
    answer = invoke(region, trigger, event)
    check(answer == event, f"{trigger['FunctionName']} answered {answer}")


def functions(region, stack):
    """A stack's functions: the trigger has a trigger's five seconds, and restore-fn the role of import jobs."""
    resources = client("cloudformation", region).describe_stack_resources(StackName=stack)["StackResources"]
    names = [resource["PhysicalResourceId"] for resource in resources]

    def kind(function):
        if function["Timeout"] == 5:
            return "trigger"
        return "restore" if "IMPORT_LOGS_ROLE_ARN" in function["Environment"]["Variables"] else "worker"

    return {kind(function): function for name, function in listed(region).items() if name in names}


def listed(region):
    functions = client("lambda", region).list_functions()["Functions"]
    return {function["FunctionName"]: function for function in functions}


def invoke(region, function, payload):
    answer = client("lambda", region).invoke(
        FunctionName=function["FunctionName"], Payload=json.dumps(payload).encode()
    )
    body = answer["Payload"].read().decode()
    check("FunctionError" not in answer, f"{function['FunctionName']}: {body}")
    return json.loads(body)


def client(service, region):
    return boto3.client(service, region_name=region)


def wait_for(what, holds):
    until = time.monotonic() + 120
    while not holds():
        check(time.monotonic() < until, f"waited two minutes for {what}")
        time.sleep(0.5)


def check(holds, otherwise):
    if not holds:
        sys.exit(f"deploy-local: {otherwise}\nLogs: {COPY}/ministack.log, {COPY}/cdk.log")


def lay_out():
    """The app and the functions in a workspace of their own."""
    shutil.rmtree(COPY, ignore_errors=True)
    unneeded = shutil.ignore_patterns("node_modules", "cdk.out", "local", "test", ".venv")
    shutil.copytree(CDK, COPY / "cdk", ignore=unneeded)
    (COPY / "cdk/node_modules").symlink_to(CDK / "node_modules")
    for name in ["replicate-fn", "backup-fn", "restore-fn"]:
        folder = COPY / "target/lambda" / name
        folder.mkdir(parents=True)
        shutil.copy(BINARIES / name, folder / "bootstrap")
    # `make deploy` builds the functions for Lambda. Here they run as they were built for this machine.
    cargo = COPY / "bin/cargo"
    cargo.parent.mkdir()
    cargo.write_text("#!/bin/sh\n")
    cargo.chmod(0o755)


def configure(existing=None, twin=True):
    """Writes the copy's twinpool.config.ts: new pools, or these; or one new pool without a twin."""

    def choice(region):
        pool = {"pool": "existing", "userPoolId": existing[region]} if existing else {"pool": "new", "userPoolId": ""}
        return {"region": region} | pool

    secondary = choice(SECONDARY) | {"snapshotBucket": "", "snapshotKeyId": ""} | ({"fence": True} if existing else {})
    configuration = {
        "primary": choice(PRIMARY),
        "secondary": secondary if twin else None,
        "newPools": {"customAttributes": ["tenant"]},
        "originSubAttribute": "custom:origin_sub",
        "architecture": "x86_64" if platform.machine().lower() in ("x86_64", "amd64") else "arm64",
        "triggerConcurrency": 10,
        "snapshotDays": 90,
        "logDays": 90,
        "alarmEmail": "ops@example.jp",
        "variables": {},
    }
    literal = re.sub(r'"(\w+)":', r"\1:", json.dumps(configuration, indent=2))
    (COPY / "cdk/twinpool.config.ts").write_text(f"export default {literal};\n")


def deploy():
    run("npm", "run", "--silent", "deploy", "--", "--require-approval", "never")


def cdk(*arguments):
    run("node_modules/.bin/cdk", *arguments)


def run(*command):
    log = COPY / "cdk.log"
    with log.open("a") as output:
        output.write(f"\n$ {' '.join(command)}\n")
        output.flush()
        ended = subprocess.run(command, cwd=COPY / "cdk", stdout=output, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        print(log.read_text()[-3000:], file=sys.stderr)
    check(ended.returncode == 0, f"`{' '.join(command)}` failed")


@contextmanager
def emulator():
    """ministack, on the loopback interface alone. From here on AWS is nowhere else, for us and whatever we start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    endpoint = f"http://127.0.0.1:{port}"
    for name in [name for name in os.environ if name.startswith(("AWS_", "CDK_"))]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": PRIMARY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "PATH": f"{COPY}/bin{os.pathsep}{os.environ['PATH']}",
    }
    # AUTH: each function may do what its role says, and nothing else.
    own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": port, "AUTH": "true", "TMPDIR": str(COPY)}
    with (COPY / "ministack.log").open("w") as log:
        command = [sys.executable, CDK / "local/emulator.py"]
        process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT)

    def answers():
        check(process.poll() is None, "ministack ended")
        try:
            return urllib.request.urlopen(f"{endpoint}/_ministack/health")
        except OSError:
            return None

    try:
        wait_for("ministack", answers)
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
