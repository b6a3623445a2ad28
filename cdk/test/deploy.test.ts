// `make deploy` runs its steps in the right order. The commands are stubs that record their arguments.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './temporary.ts';

const CDK_FOLDER = resolve(import.meta.dirname, '..');

/** The outputs of the secondary stack. */
const OUTPUTS = {
  UserPoolId: 'ap-northeast-3_Made',
  SnapshotBucketName: 'twinpool-snapshots-0a1b2c',
  SnapshotKeyId: '0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f',
};

/** Creates a copy of this app, and stub commands that record their arguments. `cdk` also writes the outputs of a deployment. */
function workspace() {
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
  command('cdk', `mkdir -p cdk.out\necho '{"TwinpoolSecondary":${JSON.stringify(OUTPUTS)}}' > cdk.out/outputs.json`);

  const deploy = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'bin/deploy.ts', ...args], {
      cwd: cdk,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${commands}:${process.env['PATH']}` },
    });
  return {
    configuration: join(cdk, 'twinpool.config.ts'),
    command,
    deploy,
    log: () => readFileSync(join(root, 'log'), 'utf8').trim().split('\n'),
  };
}

test('builds, deploys the secondary stack, writes its outputs into the configuration, deploys the primary stack', () => {
  const { configuration, deploy, log } = workspace();

  const { status, stderr } = deploy('--require-approval', 'never');

  assert.equal(status, 0, stderr);
  const outputs = /--outputs-file \S+\/cdk\.out\/outputs\.json --require-approval never$/;
  const [build, secondary, primary, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --locked --arm64');
  assert.match(secondary ?? '', /^cdk deploy TwinpoolSecondary /);
  assert.match(primary ?? '', /^cdk deploy TwinpoolPrimary /);
  assert.match(secondary ?? '', outputs);
  assert.match(primary ?? '', outputs);
  assert.deepEqual(more, []);
  const written = readFileSync(configuration, 'utf8');
  assert.match(written, /userPoolId: 'ap-northeast-3_Made',/);
  assert.match(written, /snapshotBucket: 'twinpool-snapshots-0a1b2c',/);
  assert.match(written, /snapshotKeyId: '0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f',/);
});

test('a second run does not change the configuration', () => {
  const { configuration, deploy } = workspace();
  deploy();
  const first = readFileSync(configuration, 'utf8');

  assert.equal(deploy().status, 0);

  assert.equal(readFileSync(configuration, 'utf8'), first);
});

test('with an existing twin, its id is kept, and the bucket and the key of the snapshots are written', () => {
  const { configuration, deploy } = workspace();
  const existing = readFileSync(configuration, 'utf8').replace(
    /region: 'ap-northeast-3',\s+pool: 'new',\s+userPoolId: ''/,
    "region: 'ap-northeast-3', pool: 'existing', fence: false,\nuserPoolId: 'ap-northeast-3_Made'",
  );
  writeFileSync(configuration, existing);

  const { status, stderr } = deploy();

  assert.equal(status, 0, stderr);
  const written = existing
    .replace("snapshotBucket: ''", `snapshotBucket: '${OUTPUTS.SnapshotBucketName}'`)
    .replace("snapshotKeyId: ''", `snapshotKeyId: '${OUTPUTS.SnapshotKeyId}'`);
  assert.equal(readFileSync(configuration, 'utf8'), written);
});

test('without a twin, one stack is deployed, and the configuration is not changed', () => {
  const { configuration, deploy, log } = workspace();
  const single = readFileSync(configuration, 'utf8').replace(/secondary: {[^}]*}/, 'secondary: null');
  writeFileSync(configuration, single);

  const { status, stderr } = deploy();

  assert.equal(status, 0, stderr);
  const [build, deployed, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --locked --arm64');
  assert.match(deployed ?? '', /^cdk deploy TwinpoolBackup /);
  assert.deepEqual(more, []);
  assert.equal(readFileSync(configuration, 'utf8'), single);
});

test('a failure stops the deployment: no stack after a failed build, and no primary stack after a failed secondary stack', () => {
  const { command, deploy, log } = workspace();
  command('cdk', 'exit 1');
  const failed = deploy();
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /cdk deploy TwinpoolSecondary .*failed/);
  assert.equal(log().length, 2);

  command('cargo', 'exit 1');
  assert.match(deploy().stderr, /cargo lambda build .*failed/);
  assert.equal(log().length, 3);
});
