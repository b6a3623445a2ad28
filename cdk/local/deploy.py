"""Deploys twinpool on this machine: with the real cdk and the real functions, against the AWS emulator ministack.

Deploys every variant, sends users through it, deploys again, destroys it, and prints the result of each step. It uses a
copy of the CDK app, so that twinpool.config.ts is not changed, and no AWS account.

Usage: deploy.py FOLDER [COMMIT], the folder that contains the binaries of the functions, such as target/debug. With a
commit, the stacks are deployed with the CDK app of that commit first, and then upgraded.
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
import zipfile
from contextlib import contextmanager
from pathlib import Path

import boto3

CDK = Path(__file__).resolve().parent.parent
WORKSPACE = CDK.parent
# A copy with the layout of the workspace, because the CDK app looks for the functions in ../target/lambda.
COPY = WORKSPACE / "target/deploy-local"

PRIMARY, SECONDARY = "ap-northeast-1", "ap-northeast-3"
STACKS = {PRIMARY: "TwinpoolPrimary", SECONDARY: "TwinpoolSecondary"}
OTHER_STACKS = {PRIMARY: "OrdersPrimary", SECONDARY: "OrdersSecondary"}
SINGLE = "TwinpoolBackup"
ACCOUNT = "000000000000"


def main(binaries, upgrade_from=None):
    started = time.monotonic()

    def done(what):
        print(f"{time.monotonic() - started:6.1f} s  {what}", flush=True)

    shutil.rmtree(COPY, ignore_errors=True)
    copy_app(binaries)
    configure()
    with emulator():
        cdk("bootstrap", *(f"aws://{ACCOUNT}/{region}" for region in STACKS))
        done("ministack is running, and both regions are bootstrapped")

        if upgrade_from:
            check_upgrade(binaries, upgrade_from)
            done(f"upgraded from {upgrade_from}: the pools, the buckets, the keys and their content are the same")
        else:
            deploy()
        first = Twin()
        first.check_attached()
        first.check_fence()
        done("from nothing: both stacks are deployed, the triggers attached, and the secondary pool has the fence")
        first.check_replication("hanako@example.jp", "37d4da28-9031-70e9-1111-0123456789ab")
        done("a confirmation in the primary pool was replicated to the secondary pool")
        waiting = first.fill_outbox("taro@example.jp")
        first.backup.check_snapshot("jiro@example.jp")
        done("a sign-up in the secondary pool invoked the worker, and the bucket has a snapshot with the newcomer")
        first.restore.check_dry_run("jiro@example.jp")
        done("a dry run of restore-fn in the primary region read the snapshot and would restore the newcomer")

        events = first.stack_events()
        deploy()
        cdk("diff", "--fail")
        check(first.stack_events() == events, "a second deploy changed something")
        done("a second deploy changed nothing")
        first.check_outbox_is_processed("taro@example.jp", *waiting)
        done("the tick replicated a record of the outbox, and moved one that cannot be read to conflicts/")

        events = first.stack_events()
        configure(file="orders.config.ts", name="Orders")
        os.environ["TWINPOOL_CONFIG"] = str(COPY / "cdk/orders.config.ts")
        deploy()
        listed = run("node_modules/.bin/cdk", "ls").split()
        check(sorted(listed) == sorted(OTHER_STACKS.values()), f"cdk ls lists {listed}")
        orders = Twin(OTHER_STACKS)
        check(not set(orders.pools.values()) & set(first.pools.values()), "two pairs share a pool")
        orders.check_fence()
        orders.check_replication("hachiro@example.jp", "77d4da28-9031-70e9-1111-0123456789ab")
        check(first.stack_events() == events, "the deployment of a second pair changed the first")
        done("a second pair with a name of its own: deployed beside the first, which has not changed")
        destroy(OTHER_STACKS)
        del os.environ["TWINPOOL_CONFIG"]
        check(first.stack_events() == events, "the removal of the second pair changed the first")
        first.check_replication("kuro@example.jp", "87d4da28-9031-70e9-1111-0123456789ab")
        done("the second pair is removed, and the first one still works")
        configure()
        refused = run("npm", "run", "--silent", "deploy", succeeds=False)
        check("is deployed with UserPoolId" in refused, f"make deploy says {refused}")
        check(first.stack_events() == events, "a refused deployment changed something")
        configure(outputs=first.outputs())
        done("a configuration for other pools without a name of its own is refused")

        kept = first.retained()
        destroy(STACKS)
        lost = kept - first.retained()
        check(not lost, f"destroy deleted {lost}")
        workers = [name for region in STACKS for name in list_functions(region) if name in first.workers()]
        check(not workers, f"destroy did not delete {workers}")
        first.check_replication("goro@example.jp", "47d4da28-9031-70e9-1111-0123456789ab")
        done("destroyed: pools, buckets and keys still exist, and the triggers of the pools work")

        pools = first.describe_pools()
        configure(existing=first.pools)
        deploy()
        second = Twin()
        check(second.pools == first.pools, "the stacks do not use the pools of the configuration")
        check(second.describe_pools() == pools, f"an existing pool was changed: {pools}")
        second.check_fence()
        done("around those pools: both stacks are deployed, the fence exists, and the pools are unchanged")
        second.check_replication("saburo@example.jp", "57d4da28-9031-70e9-1111-0123456789ab")
        second.backup.check_snapshot("shiro@example.jp")
        second.restore.check_dry_run("shiro@example.jp")
        done("replication and snapshots work here too, and restore-fn would restore the newcomer")

        configure(twin=False)
        deploy()
        backup = Backup(PRIMARY, SINGLE)
        backup.check_attached()
        backup.check_snapshot("rokuro@example.jp")
        done("without a twin: one stack is deployed, the trigger attached, and a sign-up is in a snapshot")
        backup.delete_user("rokuro@example.jp")
        Restore(SINGLE, backup).check_dry_run("rokuro@example.jp")
        done("restore-fn would restore a user who was deleted")

        released = deploy_templates(binaries)
        released.check_fence()
        released.check_replication("juichiro@example.jp", "97d4da28-9031-70e9-1111-0123456789ab")
        released.backup.check_snapshot("juniro@example.jp")
        released.restore.check_dry_run("juniro@example.jp")
        done("the templates of a release, without the CDK: replication, snapshots and restore-fn work")


class Twin:
    """The deployment in both regions. The ids of pools and buckets come from the functions' documented variables."""

    def __init__(self, stacks=STACKS):
        self.stacks = stacks
        self.primary = functions(PRIMARY, stacks[PRIMARY])
        self.backup = Backup(SECONDARY, stacks[SECONDARY])
        self.restore = Restore(stacks[PRIMARY], self.backup)
        variables = self.primary["worker"]["Environment"]["Variables"]
        self.outbox = variables["OUTBOX_BUCKET"]
        self.pools = {PRIMARY: variables["SOURCE_USER_POOL_ID"], SECONDARY: variables["TARGET_USER_POOL_ID"]}
        check(self.backup.pool == self.pools[SECONDARY], "the stacks use different secondary pools")
        check(self.restore.pool == self.pools[PRIMARY], "restore-fn does not use the primary pool")

    def workers(self):
        """Names of the functions that are deleted with the stacks."""
        return [
            self.primary["worker"]["FunctionName"],
            self.primary["restore"]["FunctionName"],
            self.backup.functions["worker"]["FunctionName"],
        ]

    def describe_pools(self):
        return {region: describe_pool(region, pool) for region, pool in self.pools.items()}

    def check_attached(self):
        attached = self.describe_pools()[PRIMARY]["LambdaConfig"].get("PostConfirmation")
        check(attached == self.primary["trigger"]["FunctionArn"], f"{PRIMARY}: the trigger is {attached}")
        self.backup.check_attached()

    def check_fence(self):
        waf = client("wafv2", SECONDARY)
        acls = [acl["ARN"] for acl in waf.list_web_acls(Scope="REGIONAL")["WebACLs"]]
        fenced = [waf.list_resources_for_web_acl(WebACLArn=acl, ResourceType="COGNITO_USER_POOL") for acl in acls]
        fenced = [pool for resources in fenced for pool in resources["ResourceArns"]]
        pool = self.describe_pools()[SECONDARY]["Arn"]
        check(fenced.count(pool) == 1, f"the fence of {pool} is on {fenced}")

    def check_replication(self, email, sub):
        """Confirms a user in the primary pool, and checks that the secondary pool has the replica."""
        self.confirm(email, sub)
        self.check_replica(email, sub)

    def confirm(self, email, sub):
        confirm(PRIMARY, self.pools[PRIMARY], self.primary["trigger"], email, sub)

    def fill_outbox(self, email):
        """Puts two records into the outbox, and returns their subs.

        One is of a user whose replication failed two hours ago. The other one cannot be read.
        """
        sub = create_user(PRIMARY, self.pools[PRIMARY], email)
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
        invalid = "67d4da28-9031-70e9-1111-0123456789ab"
        s3.put_object(Bucket=self.outbox, Key=f"outbox/{invalid}.json", Body=b"not a record")
        return sub, invalid

    def check_outbox_is_processed(self, email, sub, invalid):
        s3 = client("s3", PRIMARY)
        wait_for(
            "the outbox to be empty",
            lambda: s3.list_objects_v2(Bucket=self.outbox, Prefix="outbox/")["KeyCount"] == 0,
        )
        self.check_replica(email, sub)
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=self.outbox)["Contents"]]
        check(keys == [f"conflicts/{invalid}.json"], f"the outbox bucket contains {keys}")

    def check_replica(self, email, sub):
        cognito = client("cognito-idp", SECONDARY)
        user = cognito.admin_get_user(UserPoolId=self.pools[SECONDARY], Username=email)
        attributes = {a["Name"]: a["Value"] for a in user["UserAttributes"]}
        is_replica = user["UserStatus"] == "CONFIRMED" and attributes.get("custom:origin_sub") == sub
        check(is_replica, f"not a replica: {user['UserStatus']} {attributes}")

    def outputs(self):
        """What make deploy writes into the configuration."""
        outputs = stack_outputs(SECONDARY, self.stacks[SECONDARY])
        bucket, key = outputs["SnapshotBucketName"], outputs["SnapshotKeyId"]
        return {"userPoolId": outputs["UserPoolId"], "snapshotBucket": bucket, "snapshotKeyId": key}

    def stack_events(self):
        events = {}
        for region, stack in self.stacks.items():
            pages = client("cloudformation", region).get_paginator("describe_stack_events").paginate(StackName=stack)
            events[region] = [event["EventId"] for page in pages for event in page["StackEvents"]]
        return events

    def retained(self):
        """What destroy must keep: the users of the pools, the objects in the buckets, and the enabled keys."""
        found = set()
        for region, pool in self.pools.items():
            kms = client("kms", region)
            found |= {(pool, username) for username in usernames(region, pool)}
            keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
            found |= {(region, key["KeyId"]) for key in keys if key["KeyState"] == "Enabled"}
        for region, bucket in [(PRIMARY, self.outbox), (SECONDARY, self.backup.bucket)]:
            objects = client("s3", region).list_objects_v2(Bucket=bucket).get("Contents", [])
            found |= {(bucket, item["Key"]) for item in objects}
        return found


class Backup:
    """A pool with its deployed backup-fn."""

    def __init__(self, region, stack):
        self.region, self.functions = region, functions(region, stack)
        variables = self.functions["worker"]["Environment"]["Variables"]
        self.pool, self.bucket = variables["USER_POOL_ID"], variables["S3_BUCKET_NAME"]

    def check_attached(self):
        attached = describe_pool(self.region, self.pool)["LambdaConfig"].get("PostConfirmation")
        check(attached == self.functions["trigger"]["FunctionArn"], f"{self.region}: the trigger is {attached}")

    def check_snapshot(self, email):
        """Signs a user up, and checks that the notification of the journal starts a snapshot that contains the user."""
        sub = create_user(self.region, self.pool, email)
        count = len(usernames(self.region, self.pool))
        confirm(self.region, self.pool, self.functions["trigger"], email, sub)
        s3 = client("s3", self.region)
        wait_for("a snapshot", lambda: s3.list_objects_v2(Bucket=self.bucket, Prefix="latest.json")["KeyCount"])
        manifest = json.loads(self.read(json.loads(self.read("latest.json"))["manifest"]))
        check(manifest["users"]["listed"] >= count, f"a user is missing in the snapshot: {manifest}")
        check(manifest["users"]["newcomers"] == 1, f"the newcomer is not in the snapshot: {manifest}")
        for file in manifest["files"]:
            size = s3.head_object(Bucket=self.bucket, Key=file["key"])["ContentLength"]
            check(size == file["bytes"], f"{file['key']} has {size} bytes, not {file['bytes']}")

    def delete_user(self, email):
        client("cognito-idp", self.region).admin_delete_user(UserPoolId=self.pool, Username=email)

    def read(self, key):
        return client("s3", self.region).get_object(Bucket=self.bucket, Key=key)["Body"].read()


class Restore:
    """The deployed restore-fn in the primary region, which reads the snapshots of a Backup."""

    def __init__(self, stack, backup):
        self.function, self.backup = functions(PRIMARY, stack)["restore"], backup
        variables = self.function["Environment"]["Variables"]
        self.pool = variables["USER_POOL_ID"]
        source = variables["S3_BUCKET_NAME"], variables["S3_BUCKET_REGION"]
        check(source == (backup.bucket, backup.region), f"restore-fn reads from {source}")

    def check_dry_run(self, email):
        """Checks that a dry run would restore the user. More is not possible, because ministack has no import jobs."""
        before = usernames(PRIMARY, self.pool)
        answer = invoke(PRIMARY, self.function, {"dry_run": True})
        report = json.loads(self.backup.read(answer["report"]))
        folder = answer["report"].rpartition("/")[0]
        rows = self.backup.read(f"{folder}/import-0001.csv").decode().splitlines()[1:]
        check(any(email in row for row in rows), f"the user would not be restored: {answer} {report}")
        check(usernames(PRIMARY, self.pool) == before, "a dry run changed the pool")


def stack_outputs(region, stack):
    described = client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def destroy(stacks):
    """Destroys the stacks of the configuration, which are protected against that."""
    for region, stack in stacks.items():
        client("cloudformation", region).update_termination_protection(
            StackName=stack, EnableTerminationProtection=False
        )
    cdk("destroy", "--all", "--force")


def check_upgrade(binaries, commit):
    """Deploys with the CDK app of a commit, then with this one, and checks that nothing that holds data was replaced."""
    archive = subprocess.run(["git", "archive", commit, "cdk"], cwd=WORKSPACE, check=True, stdout=subprocess.PIPE)
    old = COPY / "old"
    old.mkdir()
    subprocess.run(["tar", "-x", "-C", old], input=archive.stdout, check=True)
    for folder in ["bin", "lib"]:
        shutil.rmtree(COPY / "cdk" / folder)
        shutil.copytree(old / "cdk" / folder, COPY / "cdk" / folder)
    deploy()
    before = Twin()
    before.check_replication("rei@example.jp", "27d4da28-9031-70e9-1111-0123456789ab")
    stateful = before.pools, before.outbox, before.backup.bucket, before.retained()
    triggers = before.primary["trigger"]["FunctionArn"], before.backup.functions["trigger"]["FunctionArn"]
    configuration = (COPY / "cdk/twinpool.config.ts").read_text()
    copy_app(binaries)
    (COPY / "cdk/twinpool.config.ts").write_text(configuration)
    deploy()
    after = Twin()
    check((after.pools, after.outbox, after.backup.bucket) == stateful[:3], "the upgrade replaced a pool or a bucket")
    lost = stateful[3] - after.retained()
    check(not lost, f"the upgrade lost {lost}")
    kept = after.primary["trigger"]["FunctionArn"], after.backup.functions["trigger"]["FunctionArn"]
    check(kept == triggers, f"the upgrade replaced a trigger: {kept}")


def deploy_templates(binaries):
    """Deploys the templates of a release around pools that exist, and returns the pair."""
    folder = COPY / "release"
    run("npm", "run", "--silent", "release-templates", "--", str(folder))
    architecture = processor()
    pools = {}
    for region in STACKS:
        code = client("s3", region)
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        code.create_bucket(Bucket=f"code-{region}", **place)
        for name in ["replicate-fn", "backup-fn", "restore-fn"]:
            zipped = COPY / f"{name}.zip"
            with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.write(binaries / name, "bootstrap")
            code.upload_file(str(zipped), f"code-{region}", f"v1/{name}-{architecture}.zip")
        schema = [{"Name": "origin_sub", "AttributeDataType": "String", "Mutable": False}]
        pool = client("cognito-idp", region).create_user_pool(
            PoolName="shop", UsernameAttributes=["email"], AutoVerifiedAttributes=["email"], Schema=schema
        )
        pools[region] = pool["UserPool"]["Id"]

    def deploy_template(region, template, **parameters):
        common = {"CodeBucketName": f"code-{region}", "CodePrefix": "v1/", "ProcessorArchitecture": architecture}
        cloudformation = client("cloudformation", region)
        cloudformation.create_stack(
            StackName=f"shop-{template}",
            TemplateBody=(folder / f"{template}.template.json").read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in (common | parameters).items()
            ],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=f"shop-{template}", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        return stack_outputs(region, f"shop-{template}")

    twin = deploy_template(
        SECONDARY,
        "twinpool-secondary",
        UserPoolId=pools[SECONDARY],
        PrimaryUserPoolId=pools[PRIMARY],
        BucketName="shop-snapshots",
        AddFence="true",
    )
    deploy_template(
        PRIMARY,
        "twinpool-primary",
        UserPoolId=pools[PRIMARY],
        SecondaryUserPoolId=pools[SECONDARY],
        OutboxBucketName="shop-outbox",
        SnapshotBucketName=twin["SnapshotBucketName"],
        SnapshotKeyArn=twin["SnapshotKeyArn"],
        AlarmEmail="ops@example.jp",
    )
    return Twin({PRIMARY: "shop-twinpool-primary", SECONDARY: "shop-twinpool-secondary"})


def describe_pool(region, pool):
    return client("cognito-idp", region).describe_user_pool(UserPoolId=pool)["UserPool"]


def usernames(region, pool):
    """The usernames of all users of a pool."""
    users = client("cognito-idp", region).list_users(UserPoolId=pool)["Users"]
    return sorted(user["Username"] for user in users)


def create_user(region, pool, email):
    """Creates a confirmed user, and returns the sub."""
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    cognito = client("cognito-idp", region)
    user = {"UserPoolId": pool, "Username": email}
    cognito.admin_create_user(**user, UserAttributes=attributes, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password="Correct-horse-7-battery", Permanent=True)
    attributes = cognito.admin_get_user(**user)["UserAttributes"]
    return next(a["Value"] for a in attributes if a["Name"] == "sub")


def confirm(region, pool, trigger, email, sub):
    """Invokes a trigger as Cognito does when a user confirms. ministack's pools do not invoke triggers."""
    attributes = {"sub": sub, "email": email, "email_verified": "true", "cognito:user_status": "CONFIRMED"}
    event = {
        "version": "1",
        "region": region,
        "userPoolId": pool,
        "userName": sub,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "local"},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {"userAttributes": attributes},
        "response": {},
    }
    answer = invoke(region, trigger, event)
    check(answer == event, f"{trigger['FunctionName']} answered {answer}")


def functions(region, stack):
    """A stack's functions by kind. Only the trigger has a timeout of 5 seconds, and only restore-fn a role for imports."""
    resources = client("cloudformation", region).describe_stack_resources(StackName=stack)["StackResources"]
    names = [resource["PhysicalResourceId"] for resource in resources]

    def kind(function):
        if function["Timeout"] == 5:
            return "trigger"
        return "restore" if "IMPORT_LOGS_ROLE_ARN" in function["Environment"]["Variables"] else "worker"

    return {kind(function): function for name, function in list_functions(region).items() if name in names}


def list_functions(region):
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


def wait_for(what, condition):
    deadline = time.monotonic() + 120
    while not condition():
        check(time.monotonic() < deadline, f"waited two minutes for {what}")
        time.sleep(0.5)


def check(condition, message):
    if not condition:
        sys.exit(f"deploy-local: {message}\nLogs: {COPY}/ministack.log, {COPY}/cdk.log")


def copy_app(binaries):
    """Copies the app and the functions into a workspace of their own."""
    for unwanted in ["cdk", "target", "bin", "old", "release"]:
        shutil.rmtree(COPY / unwanted, ignore_errors=True)
    unneeded = shutil.ignore_patterns("node_modules", "cdk.out", "local", "test", ".venv")
    shutil.copytree(CDK, COPY / "cdk", ignore=unneeded)
    (COPY / "cdk/node_modules").symlink_to(CDK / "node_modules")
    for name in ["replicate-fn", "backup-fn", "restore-fn"]:
        folder = COPY / "target/lambda" / name
        folder.mkdir(parents=True)
        shutil.copy(binaries / name, folder / "bootstrap")
    # `npm run deploy` builds the functions with cargo. Here they are built already, so `cargo` does nothing.
    cargo = COPY / "bin/cargo"
    cargo.parent.mkdir()
    cargo.write_text("#!/bin/sh\n")
    cargo.chmod(0o755)


def processor():
    return "x86_64" if platform.machine().lower() in ("x86_64", "amd64") else "arm64"


def configure(existing=None, twin=True, file="twinpool.config.ts", outputs=None, **more):
    """Writes a configuration of the copy: with new pools, these existing pools, or a new pool without a twin.

    Outputs are those of a secondary stack that is deployed already.
    """

    def pool_choice(region):
        pool = {"pool": "existing", "userPoolId": existing[region]} if existing else {"pool": "new", "userPoolId": ""}
        return {"region": region} | pool

    secondary = pool_choice(SECONDARY) | {"snapshotBucket": "", "snapshotKeyId": ""}
    if existing:
        secondary["fence"] = True
    configuration = {
        "primary": pool_choice(PRIMARY),
        "secondary": secondary if twin else None,
        "newPools": {"customAttributes": ["tenant"]},
        "originSubAttribute": "custom:origin_sub",
        "architecture": processor(),
        "triggerConcurrency": 10,
        "snapshotDays": 90,
        "logDays": 90,
        "alarmEmail": "ops@example.jp",
        "variables": {},
    }
    if outputs:
        secondary.update(outputs)
    configuration.update(more)
    literal = re.sub(r'"(\w+)":', r"\1:", json.dumps(configuration, indent=2))
    (COPY / "cdk" / file).write_text(f"export default {literal};\n")


def deploy():
    run("npm", "run", "--silent", "deploy", "--", "--require-approval", "never")


def cdk(*arguments):
    run("node_modules/.bin/cdk", *arguments)


def run(*command, succeeds=True):
    """Runs a command that is expected to succeed, or to fail, and returns its output."""
    with (COPY / "cdk.log").open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.run(
            command, cwd=COPY / "cdk", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        log.write(process.stdout)
    if (process.returncode == 0) != succeeds:
        print(process.stdout[-3000:], file=sys.stderr)
    check((process.returncode == 0) == succeeds, f"`{' '.join(command)}` ended with {process.returncode}")
    return process.stdout


@contextmanager
def emulator():
    """Runs ministack on the loopback interface. This process and its children send all AWS calls to it."""
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
        # The tests of the CDK app validate the templates already. This saves some seconds in each call of cdk.
        "CDK_VALIDATION": "false",
        "PATH": f"{COPY}/bin{os.pathsep}{os.environ['PATH']}",
    }
    # AUTH: ministack enforces the permissions of the roles.
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": port, "AUTH": "true", "TMPDIR": str(COPY)}
    with (COPY / "ministack.log").open("w") as log:
        command = [sys.executable, CDK / "local/emulator.py"]
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)

    def is_healthy():
        check(process.poll() is None, "ministack has exited")
        try:
            return urllib.request.urlopen(f"{endpoint}/_ministack/health")
        except OSError:
            return None

    try:
        wait_for("ministack", is_healthy)
        yield
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(binaries=Path(sys.argv[1]).resolve(), upgrade_from=next(iter(sys.argv[2:]), None))
