// The packed package works in an app of somebody else, which is in test/other-app.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type OtherApp, synthesiseOtherApp, templateOf } from './other-app.ts';

type Resources = Record<string, { Type: string; Properties: Record<string, never>; DeletionPolicy?: string }>;

let other: OtherApp;
let tokyo: { Resources: Resources; Outputs: Record<string, unknown> };
let osaka: typeof tokyo;

// It compiles in strict TypeScript and synthesises: a finding of cdk-nag that nobody has acknowledged would be an error.
before(() => {
  other = synthesiseOtherApp();
  tokyo = templateOf(other, 'ShopTokyo');
  osaka = templateOf(other, 'ShopOsaka');
});

const ofType = (template: typeof tokyo, type: string) =>
  Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);

test('the package contains compiled JavaScript with types, and nothing of the app or its tests', () => {
  for (const file of other.packed) {
    assert.match(file, /^(package\.json|README\.md|dist\/[\w-]+\.(js|d\.ts)|lambda\/[\w-]+\.zip)$/);
  }
  for (const name of ['index', 'nag', 'replication', 'backup', 'restore', 'fence']) {
    assert.ok(other.packed.includes(`dist/${name}.js`) && other.packed.includes(`dist/${name}.d.ts`), name);
  }
});

test('a pool of the app gets the trigger, and keeps its other triggers', () => {
  for (const [template, trigger] of [
    [tokyo, /^ReplicationReplicateTriggerFunction/],
    [osaka, /^(Customers|Staff)BackupTriggerFunction/],
  ] as const) {
    const pools = ofType(template, 'AWS::Cognito::UserPool');
    assert.ok(pools.length > 0, 'the app has a pool');
    for (const [id, { Properties }] of pools) {
      const { PreSignUp, PostConfirmation } = Properties['LambdaConfig'] as never as Record<
        string,
        { 'Fn::GetAtt': string[] }
      >;
      assert.match(PreSignUp?.['Fn::GetAtt'][0] ?? '', /Welcome/, id);
      assert.match(PostConfirmation?.['Fn::GetAtt'][0] ?? '', trigger, id);
    }
  }
});

test('an imported pool is not changed: the app gets the command that attaches the trigger', () => {
  const { Value } = tokyo.Outputs['Attach'] as { Value: unknown };
  assert.match(
    JSON.stringify(Value),
    /twinpool attach --pool ap-northeast-1_Imported --function .*AroundImportedReplicateTriggerFunction/,
  );
});

test('the constructs add no outputs', () => {
  assert.deepEqual(Object.keys(tokyo.Outputs).sort(), ['Attach', 'Mine']);
  assert.deepEqual(Object.keys(osaka.Outputs ?? {}), []);
});

test('two backups fit into one stack: their buckets have different names', () => {
  const names = ofType(osaka, 'AWS::S3::Bucket').map(([, { Properties }]) => JSON.stringify(Properties['BucketName']));
  assert.equal(new Set(names).size, 2);
  const metrics = ofType(osaka, 'AWS::WAFv2::WebACL').map(
    ([, { Properties }]) => (Properties['VisibilityConfig'] as never as { MetricName: string }).MetricName,
  );
  assert.equal(new Set(metrics).size, 2);
});

test('every alarm notifies the topic of the app', () => {
  for (const template of [tokyo, osaka]) {
    const alarms = ofType(template, 'AWS::CloudWatch::Alarm');
    assert.ok(alarms.length >= 20, `${alarms.length} alarms`);
    for (const [id, { Properties }] of alarms) {
      assert.match(JSON.stringify(Properties['AlarmActions']), /^\[\{"Ref":"Alarms/, id);
    }
  }
});

test('a construct without code in a package that was packed without binaries says what to do', async () => {
  const { codeOf } = await import('../lib/constructs/options.ts');
  assert.throws(() => codeOf('backup-fn', {}), /packed without backup-fn for arm64\. Set `code`/);
});
