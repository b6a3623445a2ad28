// restore-fn, in the primary stack and in the single stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Template } from 'aws-cdk-lib/assertions';
import { AROUND_EXISTING, FROM_NOTHING, SINGLE_EXISTING, SINGLE_NEW, singleTemplate, templates } from './app.ts';
import { all, one, statements, text } from './template.ts';

/** The pool, bucket and region that restore-fn uses in each variant. */
const RESTORES: Record<string, { template: Template; pool: string; bucket: string; region: string; samePool?: true }> =
  {
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
      samePool: true,
    },
    'a single existing pool': {
      template: singleTemplate(SINGLE_EXISTING),
      pool: 'ap-northeast-1_Primary',
      bucket: 'twinpool-snapshots-\\{.*\\}',
      region: 'ap-northeast-1',
      samePool: true,
    },
  };

const ROLE = '<RestoreImportLogsRole\\w+\\.Arn>';

for (const [variant, { template, pool, bucket, region, samePool }] of Object.entries(RESTORES)) {
  const exactly = (pattern: string) => new RegExp(`^${pattern}$`);
  const output = (name: string) => text(template.findOutputs(name)[name]?.['Value']);

  test(`${variant}: restore-fn has its documented variables`, () => {
    const { Variables } = one(template, 'AWS::Lambda::Function', 'RestoreFunction').Properties.Environment;
    const { USER_POOL_ID, S3_BUCKET_NAME, S3_BUCKET_REGION, IMPORT_LOGS_ROLE_ARN, ...rest } = Variables;
    assert.match(text(USER_POOL_ID), exactly(pool));
    assert.match(text(S3_BUCKET_NAME), exactly(bucket));
    assert.equal(S3_BUCKET_REGION, region);
    assert.match(text(IMPORT_LOGS_ROLE_ARN), exactly(ROLE));
    assert.deepEqual(rest, {
      ORIGIN_SUB_ATTRIBUTE: 'custom:origin_sub',
      ...(samePool && { SAME_POOL: 'true' }),
    });
  });

  test(`${variant}: restore-fn is not invoked automatically`, () => {
    const [id] = Object.keys(all(template, 'AWS::Lambda::Function')).filter((id) => id.startsWith('RestoreFunction'));
    const { Properties } = one(template, 'AWS::Lambda::Function', 'RestoreFunction');
    assert.equal(Properties.ReservedConcurrentExecutions, undefined);
    for (const type of ['AWS::Scheduler::Schedule', 'AWS::Lambda::Permission', 'AWS::S3::Bucket']) {
      assert.ok(!JSON.stringify(all(template, type)).includes(`"${id}"`), type);
    }
  });

  test(`${variant}: Cognito may assume the role of import jobs, which gives access only to the import logs of this pool`, () => {
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

  test(`${variant}: restore-fn may pass that role to Cognito, and to no other service`, () => {
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

  test(`${variant}: the outputs contain restore-fn, its role and the command`, () => {
    assert.match(output('RestoreFunctionName'), /^<RestoreFunction\w+>$/);
    assert.match(output('ImportLogsRoleArn'), exactly(ROLE));
    const options = `--pool ${pool} --bucket ${bucket} --bucket-region ${region} --role ${ROLE}`;
    const command = `twinpool restore ${options}${samePool ? ' --same-pool' : ''} --dry-run`;
    assert.match(output('RestoreCommand'), exactly(command));
  });
}

test('the secondary stack has no restore-fn, which is needed only once the primary region is available again', () => {
  assert.doesNotMatch(JSON.stringify(templates(FROM_NOTHING).secondary.toJSON()), /IMPORT_LOGS_ROLE_ARN|restore-fn/);
});

test('the outputs of the secondary stack include everything that the primary stack needs', () => {
  const { secondary } = templates(FROM_NOTHING);
  const output = (name: string) => text(secondary.findOutputs(name)[name]?.['Value']);
  assert.match(output('UserPoolId'), /^<UserPool\w+>$/);
  assert.match(output('SnapshotBucketName'), /^twinpool-snapshots-/);
  assert.match(output('SnapshotKeyId'), /^<BackupSnapshotsKey\w+>$/);
});
