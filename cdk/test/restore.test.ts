// restore-fn, in the primary region and beside a pool without a twin.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { AROUND_EXISTING, FROM_NOTHING, SINGLE_EXISTING, SINGLE_NEW, singleTemplate, templates } from './app.ts';
import { all, one, statements, text } from './template.ts';

/** The pool, bucket and region that each way's restore-fn is for. */
const RESTORES: Record<string, { template: Template; pool: string; bucket: string; region: string }> = {
  'from nothing': {
    template: templates(FROM_NOTHING).primary,
    pool: '<UserPool\\w+>',
    bucket: 'twinpool-snapshots-0123456789ab',
    region: 'ap-northeast-3',
  },
  'around existing pools': {
    template: templates(AROUND_EXISTING).primary,
    pool: 'ap-northeast-1_Primary',
    bucket: 'twinpool-snapshots-0123456789ab',
    region: 'ap-northeast-3',
  },
  'a single new pool': {
    template: singleTemplate(SINGLE_NEW),
    pool: '<UserPool\\w+>',
    bucket: 'twinpool-snapshots-\\{.*\\}',
    region: 'ap-northeast-1',
  },
  'a single existing pool': {
    template: singleTemplate(SINGLE_EXISTING),
    pool: 'ap-northeast-1_Primary',
    bucket: 'twinpool-snapshots-\\{.*\\}',
    region: 'ap-northeast-1',
  },
};

const ROLE = '<RestoreImportLogsRole\\w+\\.Arn>';

for (const [way, { template, pool, bucket, region }] of Object.entries(RESTORES)) {
  const exactly = (pattern: string) => new RegExp(`^${pattern}$`);
  const output = (name: string) => text(template.findOutputs(name)[name]?.['Value']);

  test(`${way}: restore-fn has the variables of the contract`, () => {
    const { Variables } = one(template, 'AWS::Lambda::Function', 'RestoreFunction').Properties.Environment;
    const { USER_POOL_ID, S3_BUCKET_NAME, S3_BUCKET_REGION, IMPORT_LOGS_ROLE_ARN, ...rest } = Variables;
    assert.match(text(USER_POOL_ID), exactly(pool));
    assert.match(text(S3_BUCKET_NAME), exactly(bucket));
    assert.equal(S3_BUCKET_REGION, region);
    assert.match(text(IMPORT_LOGS_ROLE_ARN), exactly(ROLE));
    assert.deepEqual(rest, {});
  });

  test(`${way}: nothing starts restore-fn but a person`, () => {
    const [id] = Object.keys(all(template, 'AWS::Lambda::Function')).filter((id) => id.startsWith('RestoreFunction'));
    const { Properties } = one(template, 'AWS::Lambda::Function', 'RestoreFunction');
    assert.equal(Properties.ReservedConcurrentExecutions, undefined);
    for (const type of ['AWS::Scheduler::Schedule', 'AWS::Lambda::Permission', 'AWS::S3::Bucket']) {
      assert.ok(!JSON.stringify(all(template, type)).includes(`"${id}"`), type);
    }
  });

  test(`${way}: the role of import jobs is for Cognito, and for the log of this pool's imports alone`, () => {
    const { Properties } = one(template, 'AWS::IAM::Role', 'RestoreImportLogsRole');
    assert.deepEqual(Properties.AssumeRolePolicyDocument.Statement, [
      { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'cognito-idp.amazonaws.com' } },
    ]);
    const [statement, ...more] = statements(template, 'RestoreImportLogs');
    assert.deepEqual(more, []);
    assert.deepEqual(statement?.actions, [
      'logs:CreateLogGroup',
      'logs:CreateLogStream',
      'logs:DescribeLogStreams',
      'logs:PutLogEvents',
    ]);
    const logs = `arn:<AWS::Partition>:logs:ap-northeast-1:<AWS::AccountId>:log-group:/aws/cognito/userpools/${pool}/\\*`;
    assert.match(statement?.resources.join() ?? '', exactly(logs));
  });

  test(`${way}: restore-fn may hand that role to Cognito, and to no other service`, () => {
    const { Policies } = one(template, 'AWS::IAM::Role', 'RestoreRole').Properties;
    const [passing, ...more] = Policies.flatMap(
      ({ PolicyDocument }: { PolicyDocument: { Statement: { Action: string | string[] }[] } }) =>
        PolicyDocument.Statement.filter(({ Action }) => Action.includes('iam:PassRole')),
    );
    assert.deepEqual(more, []);
    assert.equal(passing.Action, 'iam:PassRole');
    assert.match(text(passing.Resource), exactly(ROLE));
    assert.deepEqual(passing.Condition, { StringEquals: { 'iam:PassedToService': 'cognito-idp.amazonaws.com' } });
  });

  test(`${way}: the outputs name restore-fn and its role, and have the command ready`, () => {
    assert.match(output('RestoreFunctionName'), /^<RestoreFunction\w+>$/);
    assert.match(output('ImportLogsRoleArn'), exactly(ROLE));
    const options = `--pool ${pool} --bucket ${bucket} --bucket-region ${region} --role ${ROLE} --dry-run`;
    assert.match(output('RestoreCommand'), exactly(`twinpool restore ${options}`));
  });
}

test('the stack of the twin has no restore-fn: it is there when the primary region is back', () => {
  assert.doesNotMatch(JSON.stringify(templates(FROM_NOTHING).secondary.toJSON()), /IMPORT_LOGS_ROLE_ARN|restore-fn/);
});

test('the secondary stack has what the primary one must know among its outputs', () => {
  const { secondary } = templates(FROM_NOTHING);
  const output = (name: string) => text(secondary.findOutputs(name)[name]?.['Value']);
  assert.match(output('UserPoolId'), /^<UserPool\w+>$/);
  assert.match(output('SnapshotBucketName'), /^twinpool-snapshots-/);
  assert.match(output('SnapshotKeyId'), /^<BackupSnapshotsKey\w+>$/);
});
