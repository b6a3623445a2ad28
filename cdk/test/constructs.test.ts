// The constructs in somebody else's stack: what they refuse, and what their properties change. test/package.test.ts uses the package.

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { App, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { UserPool, UserPoolOperation } from 'aws-cdk-lib/aws-cognito';
import { Code, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Backup, Fence, Replication } from '../lib/constructs/index.ts';
import { temporaryFolder } from './temporary.ts';

const OWN = 'arn:aws:lambda:ap-northeast-3:123456789012:function:ours';

const stack = () => new Stack(new App({ outdir: temporaryFolder() }), 'Shop', { env: { region: 'ap-northeast-3' } });

const code = () => Code.fromAsset(resolve(import.meta.dirname, 'stub'));

test('a pool that has a post-confirmation function already is refused, with what to do', () => {
  const shop = stack();
  const userPool = new UserPool(shop, 'Pool');
  userPool.addTrigger(UserPoolOperation.POST_CONFIRMATION, LambdaFunction.fromFunctionArn(shop, 'Ours', OWN));
  assert.throws(
    () => new Backup(shop, 'Backup', { userPool, code: code() }),
    /Shop\/Pool has a post-confirmation function already\. Let that function invoke .* postConfirmationFunctionArn/,
  );
});

test('a pool keeps its own post-confirmation function if the app names it, and the worker expects that one', () => {
  const shop = stack();
  const userPool = new UserPool(shop, 'Pool');
  userPool.addTrigger(UserPoolOperation.POST_CONFIRMATION, LambdaFunction.fromFunctionArn(shop, 'Ours', OWN));
  new Backup(shop, 'Backup', { userPool, code: code(), postConfirmationFunctionArn: OWN });
  const template = Template.fromStack(shop);
  template.hasResourceProperties('AWS::Cognito::UserPool', { LambdaConfig: { PostConfirmation: OWN } });
  template.hasResourceProperties('AWS::Lambda::Function', {
    Environment: { Variables: Match.objectLike({ TRIGGER_ARN: OWN }) },
  });
});

test('a pool of another stack is an error that says where to create the construct', () => {
  const shop = stack();
  const userPool = new UserPool(shop, 'Pool');
  const other = new Stack(shop.node.scope as App, 'Other', { env: { region: 'ap-northeast-3' } });
  new Backup(other, 'Backup', { userPool, code: code() });
  Annotations.fromStack(other).hasError('*', Match.stringLikeRegexp('create this construct in the stack of the pool'));
});

test('what is kept, and for how long, follows the properties', () => {
  const shop = stack();
  const userPool = new UserPool(shop, 'Pool');
  const common = { code: code(), removalPolicy: RemovalPolicy.DESTROY };
  new Backup(shop, 'Backup', { userPool, ...common, snapshotRetention: Duration.days(14) });
  new Fence(shop, 'Fence', { userPool, removalPolicy: RemovalPolicy.DESTROY });
  new Replication(shop, 'Replication', {
    userPool: UserPool.fromUserPoolId(shop, 'Imported', 'ap-northeast-3_Imported'),
    twin: {
      userPoolId: 'ap-northeast-1_Twin',
      snapshotBucketName: 'snapshots',
      snapshotKeyArn: 'arn:aws:kms:a:1:key/0',
    },
    ...common,
    conflictRetention: Duration.days(7),
  });
  const template = Template.fromStack(shop);
  for (const type of ['AWS::S3::Bucket', 'AWS::KMS::Key', 'AWS::Lambda::Function', 'AWS::WAFv2::WebACL']) {
    for (const [id, { DeletionPolicy }] of Object.entries(template.findResources(type))) {
      assert.notEqual(DeletionPolicy?.startsWith('Retain'), true, id);
    }
  }
  const days = JSON.stringify(template.findResources('AWS::S3::Bucket'));
  assert.match(days, /"ExpirationInDays":14,"Id":"snapshots"/);
  assert.match(days, /"ExpirationInDays":7,"Id":"conflicts"/);
});

test('the region of a pool whose id is only known at the deployment is the part of the id before _', () => {
  const shop = stack();
  const userPool = UserPool.fromUserPoolId(shop, 'Imported', 'ap-northeast-3_Imported');
  const userPoolId = new UserPool(shop, 'Unknown').userPoolId;
  new Replication(shop, 'Replication', {
    userPool,
    twin: { userPoolId, snapshotBucketName: 'snapshots', snapshotKeyArn: 'arn:aws:kms:a:1:key/0' },
    code: code(),
  });
  Template.fromStack(shop).hasResourceProperties('AWS::Lambda::Function', {
    Environment: {
      Variables: Match.objectLike({
        S3_BUCKET_REGION: { 'Fn::Select': [0, { 'Fn::Split': ['_', Match.anyValue()] }] },
      }),
    },
  });
});
