// make deploy: the order of things, with commands that only say what they were asked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const HERE = resolve(import.meta.dirname, '..');

/** The outputs of the secondary stack. */
const MADE = {
  UserPoolId: 'ap-northeast-3_Made',
  SnapshotBucketName: 'twinpool-snapshots-0a1b2c',
  SnapshotKeyId: '0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f',
};

/** A copy of this app beside commands that note how they are called; `cdk` makes the outputs of a deployment. */
function workspace() {
  const root = mkdtempSync(join(tmpdir(), 'twinpool-deploy-'));
  const cdk = join(root, 'cdk');
  for (const name of ['bin', 'lib', 'package.json']) {
    cpSync(join(HERE, name), join(cdk, name), { recursive: true });
  }
  cpSync(join(HERE, 'test/fresh.config.ts'), join(cdk, 'twinpool.config.ts'));
  symlinkSync(join(HERE, 'node_modules'), join(cdk, 'node_modules'));
  const commands = join(root, 'commands');
  mkdirSync(commands);
  const command = (name: string, then: string) =>
    writeFileSync(join(commands, name), `#!/bin/sh\necho "${name} $*" >> ${root}/log\n${then}\n`, { mode: 0o755 });
  command('cargo', '');
  command('cdk', `mkdir -p cdk.out\necho '{"TwinpoolSecondary":${JSON.stringify(MADE)}}' > cdk.out/outputs.json`);

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

test('builds, deploys the secondary stack, writes what it made into the configuration, deploys the primary', () => {
  const { configuration, deploy, log } = workspace();

  const { status, stderr } = deploy('--require-approval', 'never');

  assert.equal(status, 0, stderr);
  const outputs = /--outputs-file \S+\/cdk\.out\/outputs\.json --require-approval never$/;
  const [build, secondary, primary, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --arm64');
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

test('a second run writes nothing', () => {
  const { configuration, deploy } = workspace();
  deploy();
  const first = readFileSync(configuration, 'utf8');

  assert.equal(deploy().status, 0);

  assert.equal(readFileSync(configuration, 'utf8'), first);
});

test('around an existing twin, its id stays, and the bucket and key of its snapshots are written', () => {
  const { configuration, deploy } = workspace();
  const existing = readFileSync(configuration, 'utf8').replace(
    /region: 'ap-northeast-3',\s+pool: 'new',\s+userPoolId: ''/,
    "region: 'ap-northeast-3', pool: 'existing', fence: false,\nuserPoolId: 'ap-northeast-3_Made'",
  );
  writeFileSync(configuration, existing);

  const { status, stderr } = deploy();

  assert.equal(status, 0, stderr);
  const written = existing
    .replace("snapshotBucket: ''", `snapshotBucket: '${MADE.SnapshotBucketName}'`)
    .replace("snapshotKeyId: ''", `snapshotKeyId: '${MADE.SnapshotKeyId}'`);
  assert.equal(readFileSync(configuration, 'utf8'), written);
});

test('of a pool without a twin, there is one stack, and nothing is written', () => {
  const { configuration, deploy, log } = workspace();
  const single = readFileSync(configuration, 'utf8').replace(/secondary: {[^}]*}/, 'secondary: null');
  writeFileSync(configuration, single);

  const { status, stderr } = deploy();

  assert.equal(status, 0, stderr);
  const [build, deployed, ...more] = log();
  assert.equal(build, 'cargo lambda build --release --arm64');
  assert.match(deployed ?? '', /^cdk deploy TwinpoolBackup /);
  assert.deepEqual(more, []);
  assert.equal(readFileSync(configuration, 'utf8'), single);
});

test('what fails stops it: nothing is deployed that was not built, and no primary without a secondary', () => {
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
