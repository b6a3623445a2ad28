// make deploy: the order of things, with commands that only say what they were asked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const HERE = resolve(import.meta.dirname, '..');

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
  command(
    'cdk',
    `mkdir -p cdk.out\necho '{"TwinpoolSecondary":{"UserPoolId":"ap-northeast-3_Made"}}' > cdk.out/outputs.json`,
  );

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

test('builds, deploys the secondary stack, writes the id of its pool into the configuration, deploys the primary', () => {
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
  assert.match(readFileSync(configuration, 'utf8'), /userPoolId: 'ap-northeast-3_Made',/);
});

test('a second run writes nothing', () => {
  const { configuration, deploy } = workspace();
  deploy();
  const first = readFileSync(configuration, 'utf8');

  assert.equal(deploy().status, 0);

  assert.equal(readFileSync(configuration, 'utf8'), first);
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
