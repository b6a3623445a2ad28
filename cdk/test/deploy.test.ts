// `make deploy` runs its steps in the right order. The commands are stubs that record their arguments.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { type Answers, type DeployedOutputs, serveAws } from './aws.ts';
import { temporaryFolder } from './temporary.ts';

const CDK_FOLDER = resolve(import.meta.dirname, '..');

/** The ARN of a trigger. */
const trigger = (name: string) => `arn:aws:lambda:ap-northeast-3:123456789012:function:${name}`;

/** The outputs of the secondary stack. */
const OUTPUTS = {
  TriggerArn: trigger('TwinpoolSecondary-Trigger'),
  UserPoolId: 'ap-northeast-3_Made',
  SnapshotBucketName: 'twinpool-snapshots-0a1b2c',
  SnapshotKeyId: '0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f',
};

/** What the stub of `cdk` does: it writes the outputs of all stacks of this name. */
function writesOutputs(name: string): string {
  const TriggerArn = trigger(`${name}-Trigger`);
  const outputs = {
    [`${name}Secondary`]: OUTPUTS,
    [`${name}Primary`]: { TriggerArn, UserPoolId: 'ap-northeast-1_Made' },
    [`${name}Backup`]: { TriggerArn },
  };
  return `mkdir -p cdk.out\necho '${JSON.stringify(outputs)}' > cdk.out/outputs.json`;
}

/**
 * Creates a copy of this app, and stub commands that record their arguments. `cdk` also writes the outputs of a deployment.
 *
 * @param deployed the stacks that are deployed already
 * @param aws what AWS answers otherwise
 */
function workspace(deployed: DeployedOutputs = {}, environment: Record<string, string> = {}, aws: Answers = {}) {
  const root = temporaryFolder();
  const cdk = join(root, 'cdk');
  for (const name of ['bin', 'lib', 'package.json']) {
    cpSync(join(CDK_FOLDER, name), join(cdk, name), { recursive: true });
  }
  cpSync(join(CDK_FOLDER, 'test/fresh.config.ts'), join(cdk, 'twinpool.config.ts'));
  symlinkSync(join(CDK_FOLDER, 'node_modules'), join(cdk, 'node_modules'));
  const commands = join(root, 'commands');
  mkdirSync(commands);
  const command = (name: string, then: string) =>
    writeFileSync(join(commands, name), `#!/bin/sh\necho "${name} $*" >> ${root}/log\n${then}\n`, { mode: 0o755 });
  command('cargo', '');
  command('cdk', writesOutputs('Twinpool'));

  const deploy = async (...args: string[]) => {
    const endpoint = await serveAws(deployed, aws);
    return new Promise<{ status: number; stderr: string }>((resolve) => {
      const options = {
        cwd: cdk,
        env: {
          ...process.env,
          AWS_ENDPOINT_URL: endpoint,
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
          PATH: `${commands}:${process.env['PATH']}`,
          ...environment,
        },
      };
      const child = execFile(
        process.execPath,
        ['--import', 'tsx', 'bin/deploy.ts', ...args],
        options,
        (_, __, stderr) => resolve({ status: child.exitCode ?? 1, stderr }),
      );
    });
  };
  return {
    configuration: join(cdk, 'twinpool.config.ts'),
    command,
    deploy,
    log: () => (existsSync(join(root, 'log')) ? readFileSync(join(root, 'log'), 'utf8').trim().split('\n') : []),
  };
}

test('builds, deploys both stacks, writes their outputs into the configuration, and tells the secondary stack of the new primary pool', async () => {
  const { configuration, deploy, log } = workspace();

  const { status, stderr } = await deploy('--require-approval', 'never');

  assert.equal(status, 0, stderr);
  const outputs =
    /--context twinpool:both-stacks=true --outputs-file \S+\/cdk\.out\/outputs\.json --require-approval never$/;
  const [build, secondary, primary, again, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --locked --arm64');
  assert.match(secondary ?? '', /^cdk deploy TwinpoolSecondary /);
  assert.match(primary ?? '', /^cdk deploy TwinpoolPrimary /);
  assert.match(secondary ?? '', outputs);
  assert.match(primary ?? '', outputs);
  assert.equal(again, secondary);
  assert.deepEqual(more, []);
  const written = readFileSync(configuration, 'utf8');
  assert.match(written, /userPoolId: 'ap-northeast-1_Made',/);
  assert.match(written, /userPoolId: 'ap-northeast-3_Made',/);
  assert.match(written, /snapshotBucket: 'twinpool-snapshots-0a1b2c',/);
  assert.match(written, /snapshotKeyId: '0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f',/);
});

test('a second run does not change the configuration', async () => {
  const { configuration, deploy } = workspace();
  await deploy();
  const first = readFileSync(configuration, 'utf8');

  assert.equal((await deploy()).status, 0);

  assert.equal(readFileSync(configuration, 'utf8'), first);
});

test('with an existing twin, its id is kept, and the bucket and the key of the snapshots are written', async () => {
  const { configuration, deploy } = workspace();
  const existing = readFileSync(configuration, 'utf8').replace(
    /region: 'ap-northeast-3',\s+pool: 'new',\s+userPoolId: ''/,
    "region: 'ap-northeast-3', pool: 'existing', fence: false,\nuserPoolId: 'ap-northeast-3_Made'",
  );
  writeFileSync(configuration, existing);

  const { status, stderr } = await deploy();

  assert.equal(status, 0, stderr);
  const written = existing
    .replace("userPoolId: ''", "userPoolId: 'ap-northeast-1_Made'")
    .replace("snapshotBucket: ''", `snapshotBucket: '${OUTPUTS.SnapshotBucketName}'`)
    .replace("snapshotKeyId: ''", `snapshotKeyId: '${OUTPUTS.SnapshotKeyId}'`);
  assert.equal(readFileSync(configuration, 'utf8'), written);
});

test('without a twin, one stack is deployed, and the configuration is not changed', async () => {
  const { configuration, deploy, log } = workspace();
  const single = readFileSync(configuration, 'utf8').replace(/secondary: {[^}]*}/, 'secondary: null');
  writeFileSync(configuration, single);

  const { status, stderr } = await deploy();

  assert.equal(status, 0, stderr);
  const [build, deployed, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --locked --arm64');
  assert.match(deployed ?? '', /^cdk deploy TwinpoolBackup /);
  assert.deepEqual(more, []);
  assert.equal(readFileSync(configuration, 'utf8'), single);
});

test('a failure stops the deployment: no stack after a failed build, and no primary stack after a failed secondary stack', async () => {
  const { command, deploy, log } = workspace();
  command('cdk', 'exit 1');
  const failed = await deploy();
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /cdk deploy TwinpoolSecondary .*failed/);
  assert.equal(log().length, 2);

  command('cargo', 'exit 1');
  assert.match((await deploy()).stderr, /cargo lambda build .*failed/);
  assert.equal(log().length, 3);
});

/** The outputs of both stacks, as they are deployed. */
const DEPLOYED = {
  TwinpoolSecondary: OUTPUTS,
  TwinpoolPrimary: { UserPoolId: 'ap-northeast-1_Made', SnapshotBucketName: OUTPUTS.SnapshotBucketName },
};

for (const [what, deployed, says] of [
  [
    'a secondary stack with a pool that the configuration does not name',
    { TwinpoolSecondary: OUTPUTS },
    /TwinpoolSecondary in ap-northeast-3 is deployed with UserPoolId 'ap-northeast-3_Made', but secondary\.userPoolId is ''/,
  ],
  [
    'a primary stack with another twin',
    { TwinpoolPrimary: DEPLOYED.TwinpoolPrimary },
    /TwinpoolPrimary in ap-northeast-1 is deployed with SnapshotBucketName 'twinpool-snapshots-0a1b2c', but secondary\.snapshotBucket is ''/,
  ],
] as const) {
  test(`refused before anything is built: ${what}`, async () => {
    const { configuration, deploy, log } = workspace(deployed);
    const before = readFileSync(configuration, 'utf8');

    const { status, stderr } = await deploy();

    assert.equal(status, 1);
    assert.match(stderr, says);
    assert.match(stderr, /give it a `name` of its own, such as name: 'Orders'/);
    assert.deepEqual(log(), []);
    assert.equal(readFileSync(configuration, 'utf8'), before);
  });
}

test('refused: an existing pool other than the one that the deployed stack is around', async () => {
  const { configuration, deploy, log } = workspace({ TwinpoolBackup: { UserPoolId: 'ap-northeast-1_First' } });
  const other = readFileSync(configuration, 'utf8')
    .replace(/secondary: {[^}]*}/, 'secondary: null')
    .replace("pool: 'new',\n    userPoolId: ''", "pool: 'existing',\n    userPoolId: 'ap-northeast-1_Second'");
  writeFileSync(configuration, other);

  const { status, stderr } = await deploy();

  assert.equal(status, 1);
  assert.match(stderr, /TwinpoolBackup .* 'ap-northeast-1_First', but primary\.userPoolId is 'ap-northeast-1_Second'/);
  assert.deepEqual(log(), []);
});

test('a deployment of the pools of the configuration is deployed again, and so is one that failed before it had outputs', async () => {
  for (const deployed of [DEPLOYED, { TwinpoolSecondary: OUTPUTS, TwinpoolPrimary: {} }]) {
    const { configuration, deploy, log } = workspace(deployed);
    const same = readFileSync(configuration, 'utf8')
      .replace(/(ap-northeast-3',\s+pool: 'new',\s+userPoolId: ')/, `$1${OUTPUTS.UserPoolId}`)
      .replace("userPoolId: ''", "userPoolId: 'ap-northeast-1_Made'")
      .replace("snapshotBucket: '", `snapshotBucket: '${OUTPUTS.SnapshotBucketName}`);
    writeFileSync(configuration, same);

    const { status, stderr } = await deploy();

    assert.equal(status, 0, stderr);
    assert.equal(log().length, 3);
  }
});

test('TWINPOOL_CONFIG names the configuration, and its name the stacks, so that a second pair leaves the first alone', async () => {
  const file = join(temporaryFolder(), 'orders.config.ts');
  const { configuration, command, deploy, log } = workspace(DEPLOYED, { TWINPOOL_CONFIG: file });
  const first = readFileSync(configuration, 'utf8');
  writeFileSync(file, first.replace(/^import type.*$/m, '').replace('primary:', "name: 'Orders',\n  primary:"));
  command('cdk', writesOutputs('Orders'));

  const { status, stderr } = await deploy();

  assert.equal(status, 0, stderr);
  const [, secondary, primary, again, ...more] = log();
  assert.match(secondary ?? '', /^cdk deploy OrdersSecondary /);
  assert.match(primary ?? '', /^cdk deploy OrdersPrimary /);
  assert.match(again ?? '', /^cdk deploy OrdersSecondary /);
  assert.deepEqual(more, []);
  assert.match(readFileSync(file, 'utf8'), /userPoolId: 'ap-northeast-3_Made',/);
  assert.equal(readFileSync(configuration, 'utf8'), first);
});

for (const [what, answer] of [
  ['an error', '{"errorMessage":"no"}'],
  ['another event', '{"version":"1"}'],
] as const) {
  test(`a trigger that answers a foreign event with ${what} is an error that says how to go back`, async () => {
    const { deploy, log } = workspace({}, {}, { trigger: answer });

    const { status, stderr } = await deploy();

    assert.equal(status, 1);
    assert.equal(log().length, 4);
    for (const stack of ['TwinpoolSecondary', 'TwinpoolPrimary']) {
      assert.match(stderr, new RegExp(`${stack}: the trigger arn:aws:lambda:.* answered`));
    }
    assert.match(stderr, /at once: twinpool detach --pool POOL_ID/);
    assert.match(stderr, /git checkout the version that you deployed before, and make deploy/);
  });
}

test('a lower quota of Lambda in the secondary region is told, and the deployment is a success', async () => {
  const { deploy } = workspace({}, {}, { concurrency: { 'ap-northeast-1': 1000, 'ap-northeast-3': 10 } });

  const { status, stderr } = await deploy();

  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    /Warning: Lambda may run 10 functions at the same time in ap-northeast-3, and 1000 in ap-northeast-1\./,
  );
});

test('of equal quotas nothing is told, and quotas that cannot be read are to be looked at', async () => {
  const equal = await workspace().deploy();
  const refused = await workspace({}, {}, { concurrency: {} }).deploy();

  assert.doesNotMatch(equal.stderr, /Lambda/);
  assert.equal(refused.status, 0, refused.stderr);
  assert.match(refused.stderr, /Warning: The quotas of Lambda were not compared: .* Look in Service Quotas/);
});
