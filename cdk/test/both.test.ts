// What holds in both regions, in both ways.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Template } from 'aws-cdk-lib/assertions';
import { app, FROM_NOTHING, templates, WAYS } from './app.ts';
import { all, list, one, text } from './template.ts';

function begins(found: string, beginning: string): void {
  assert.equal(found.slice(0, beginning.length), beginning);
}

for (const [way, configuration] of Object.entries(WAYS)) {
  const stacks = templates(configuration);
  for (const [region, template] of Object.entries(stacks)) {
    const here = `${way}, ${region} region`;
    const isNew = way === 'from nothing';
    const trigger = region === 'primary' ? 'ReplicateTrigger' : 'BackupTrigger';
    const worker = region === 'primary' ? 'ReplicateWorker' : 'BackupWorker';
    const store = region === 'primary' ? 'Outbox' : 'Snapshots';

    test(`${here}: no circular dependency`, () => {
      assert.doesNotThrow(() => Template.fromJSON(template.toJSON()));
    });

    test(`${here}: stands alone, without exports, imports, parameters of another stack or custom resources`, () => {
      const written = JSON.stringify(template.toJSON());
      assert.doesNotMatch(
        written,
        /Fn::ImportValue|"Export"|Custom::|CloudFormation::CustomResource|AWS::SSM::Parameter"/,
      );
      const lambdas = Object.keys(all(template, 'AWS::Lambda::Function'));
      assert.deepEqual(lambdas.length, 2, 'the trigger and the worker, and no helper');
    });

    test(`${here}: trigger of 5 seconds, worker of 15 minutes, on the architecture and runtime that are built for`, () => {
      for (const [id, timeout] of [
        [trigger, 5],
        [worker, 900],
      ] as const) {
        const { Properties } = one(template, 'AWS::Lambda::Function', `${id}Function`);
        assert.equal(Properties.Timeout, timeout);
        assert.deepEqual(Properties.Architectures, ['arm64']);
        assert.equal(Properties.Runtime, 'provided.al2023');
        assert.equal(Properties.Handler, 'bootstrap');
      }
    });

    test(`${here}: the worker is not invoked again by Lambda`, () => {
      const { Properties } = one(template, 'AWS::Lambda::EventInvokeConfig', worker);
      assert.equal(Properties.MaximumRetryAttempts, 0);
      assert.equal(Properties.MaximumEventAgeInSeconds, 60);
    });

    test(`${here}: JSON logs at a level that lets metrics through, kept for a time, and traces`, () => {
      for (const id of [trigger, worker]) {
        const { LoggingConfig, TracingConfig } = one(template, 'AWS::Lambda::Function', `${id}Function`).Properties;
        assert.equal(LoggingConfig.LogFormat, 'JSON');
        assert.equal(LoggingConfig.ApplicationLogLevel, 'INFO');
        begins(text(LoggingConfig.LogGroup), `<${id}Logs`);
        assert.deepEqual(TracingConfig, { Mode: 'Active' });
        assert.equal(one(template, 'AWS::Logs::LogGroup', `${id}Logs`).Properties.RetentionInDays, 90);
      }
    });

    test(`${here}: the pool may invoke the trigger, and no other pool or account may`, () => {
      const { Properties } = one(template, 'AWS::Lambda::Permission', `${trigger}CalledByPool`);
      const pool = region === 'primary' ? /userpool\/ap-northeast-1_Primary$/ : /userpool\/ap-northeast-3_Secondary$/;
      assert.equal(Properties.Action, 'lambda:InvokeFunction');
      assert.equal(Properties.Principal, 'cognito-idp.amazonaws.com');
      begins(text(Properties.FunctionName), `<${trigger}Function`);
      assert.match(text(Properties.SourceArn), isNew ? /^<UserPool\w+\.Arn>$/ : pool);
      assert.equal(text(Properties.SourceAccount), '<AWS::AccountId>');
    });

    test(`${here}: the bucket is encrypted with a key of its own, which rotates`, () => {
      const { Properties } = one(template, 'AWS::S3::Bucket', `${store}Bucket`);
      const [rule] = Properties.BucketEncryption.ServerSideEncryptionConfiguration;
      assert.equal(rule.ServerSideEncryptionByDefault.SSEAlgorithm, 'aws:kms');
      begins(text(rule.ServerSideEncryptionByDefault.KMSMasterKeyID), `<${store}Key`);
      assert.equal(rule.BucketKeyEnabled, true);
      assert.equal(one(template, 'AWS::KMS::Key', `${store}Key`).Properties.EnableKeyRotation, true);
    });

    test(`${here}: the bucket is closed to the public`, () => {
      const { PublicAccessBlockConfiguration } = one(template, 'AWS::S3::Bucket', `${store}Bucket`).Properties;
      assert.deepEqual(PublicAccessBlockConfiguration, {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      });
    });

    test(`${here}: the bucket refuses what is not TLS`, () => {
      const { Statement } = one(template, 'AWS::S3::BucketPolicy', `${store}Bucket`).Properties.PolicyDocument;
      const denied = Statement.find((s: { Condition: object }) =>
        JSON.stringify(s.Condition).includes('aws:SecureTransport'),
      );
      assert.equal(denied?.Effect, 'Deny');
      assert.equal(denied.Action, 's3:*');
      assert.deepEqual(denied.Condition, { Bool: { 'aws:SecureTransport': 'false' } });
    });

    test(`${here}: the bucket has versions, and superseded ones and unfinished uploads go soon`, () => {
      const { VersioningConfiguration, LifecycleConfiguration } = one(
        template,
        'AWS::S3::Bucket',
        `${store}Bucket`,
      ).Properties;
      assert.deepEqual(VersioningConfiguration, { Status: 'Enabled' });
      const [rule] = LifecycleConfiguration.Rules;
      assert.equal(rule.Status, 'Enabled');
      assert.deepEqual(rule.NoncurrentVersionExpiration, { NoncurrentDays: 7 });
      assert.deepEqual(rule.AbortIncompleteMultipartUpload, { DaysAfterInitiation: 1 });
      assert.equal(rule.ExpiredObjectDeleteMarker, true);
      assert.ok(!('Prefix' in rule), 'it is for the whole bucket');
    });

    test(`${here}: destroy keeps pool, bucket and key`, () => {
      for (const type of ['AWS::Cognito::UserPool', 'AWS::S3::Bucket', 'AWS::S3::BucketPolicy', 'AWS::KMS::Key']) {
        for (const [id, { DeletionPolicy, UpdateReplacePolicy }] of Object.entries(all(template, type))) {
          assert.equal(DeletionPolicy, 'Retain', id);
          assert.equal(UpdateReplacePolicy, 'Retain', id);
        }
      }
    });

    test(`${here}: destroy keeps what the pool that is kept calls, or sign-ups would end in errors`, () => {
      const kept = [
        one(template, 'AWS::Lambda::Function', `${trigger}Function`),
        one(template, 'AWS::IAM::Role', `${trigger}Role`),
        one(template, 'AWS::Logs::LogGroup', `${trigger}Logs`),
        one(template, 'AWS::Lambda::Permission', `${trigger}CalledByPool`),
      ];
      for (const { Type, DeletionPolicy } of kept) {
        assert.equal(DeletionPolicy, 'RetainExceptOnCreate', Type);
      }
    });

    test(`${here}: function errors and throttles go off as alarms`, () => {
      for (const [alarm, id] of [
        ['Trigger', trigger],
        ['Worker', worker],
      ]) {
        for (const metric of ['Errors', 'Throttles']) {
          const { Properties } = one(template, 'AWS::CloudWatch::Alarm', `Watch${alarm}${metric}`);
          assert.equal(Properties.MetricName, metric);
          assert.equal(Properties.Namespace, 'AWS/Lambda');
          assert.equal(Properties.Threshold, 0);
          begins(text(Properties.Dimensions[0].Value), `<${id}Function`);
        }
      }
    });

    test(`${here}: every alarm goes to the topic and says what it means`, () => {
      for (const [id, { Properties }] of Object.entries(all(template, 'AWS::CloudWatch::Alarm'))) {
        assert.deepEqual(Properties.AlarmActions.map(text).length, 1, id);
        assert.match(text(Properties.AlarmActions[0]), /^<WatchTopic/, id);
        assert.ok(Properties.AlarmDescription.length > 40, id);
        assert.notEqual(Properties.ActionsEnabled, false, id);
      }
    });

    test(`${here}: CloudWatch may publish to the topic, and only over TLS`, () => {
      const { Statement } = one(template, 'AWS::SNS::TopicPolicy', 'WatchTopicPolicy').Properties.PolicyDocument;
      const allow = Statement.find((s: { Effect: string }) => s.Effect === 'Allow');
      assert.deepEqual(allow.Principal, { Service: 'cloudwatch.amazonaws.com' });
      assert.equal(allow.Action, 'sns:Publish');
      assert.equal(text(allow.Condition.StringEquals['aws:SourceAccount']), '<AWS::AccountId>');
      const deny = Statement.find((s: { Effect: string }) => s.Effect === 'Deny');
      assert.deepEqual(deny.Condition, { Bool: { 'aws:SecureTransport': 'false' } });
    });

    test(`${here}: the dashboard shows every alarm`, () => {
      const dashboard = one(template, 'AWS::CloudWatch::Dashboard', 'WatchDashboard').Properties;
      assert.equal(dashboard.DashboardName, region === 'primary' ? 'TwinpoolPrimary' : 'TwinpoolSecondary');
      const written = text(dashboard.DashboardBody);
      for (const id of Object.keys(all(template, 'AWS::CloudWatch::Alarm'))) {
        assert.ok(written.includes(`<${id}.Arn>`), id);
      }
    });

    test(`${here}: the schedule may be used by this account's alone`, () => {
      const [statement] = one(template, 'AWS::IAM::Role', 'ScheduleRole').Properties.AssumeRolePolicyDocument.Statement;
      assert.deepEqual(statement.Principal, { Service: 'scheduler.amazonaws.com' });
      assert.equal(text(statement.Condition.StringEquals['aws:SourceAccount']), '<AWS::AccountId>');
      assert.match(text(statement.Condition.StringEquals['aws:SourceArn']), /:schedule-group\/default$/);
    });
  }

  const pools = Object.values(stacks).map((template) => Object.values(all(template, 'AWS::Cognito::UserPool')));

  if (way === 'from nothing') {
    test('from nothing: both pools have the same settings but for their triggers', () => {
      const settings = pools.map(([pool, ...more]) => {
        assert.deepEqual(more, []);
        const { LambdaConfig, ...rest } = pool?.Properties ?? {};
        assert.match(text(LambdaConfig.PostConfirmation), /^<(Replicate|Backup)TriggerFunction/);
        assert.deepEqual(Object.keys(LambdaConfig), ['PostConfirmation']);
        return rest;
      });
      assert.deepEqual(settings[0], settings[1]);
    });

    test('from nothing: sign-in by email, MFA required with an authenticator app alone, recovery by email, protected', () => {
      const [[pool]] = pools as [[NonNullable<(typeof pools)[0][0]>]];
      const { Properties } = pool;
      assert.deepEqual(Properties.UsernameAttributes, ['email']);
      assert.deepEqual(Properties.UsernameConfiguration, { CaseSensitive: false });
      assert.deepEqual(Properties.AutoVerifiedAttributes, ['email']);
      assert.equal(Properties.MfaConfiguration, 'ON');
      assert.deepEqual(Properties.EnabledMfas, ['SOFTWARE_TOKEN_MFA']);
      assert.deepEqual(Properties.AccountRecoverySetting.RecoveryMechanisms, [{ Name: 'verified_email', Priority: 1 }]);
      assert.equal(Properties.DeletionProtection, 'ACTIVE');
      assert.deepEqual(Properties.Schema, [{ AttributeDataType: 'String', Mutable: false, Name: 'origin_sub' }]);
      assert.deepEqual(Properties.AdminCreateUserConfig, { AllowAdminCreateUserOnly: false });
    });
  } else {
    test('around existing pools: CloudFormation has no pool', () => {
      assert.deepEqual(pools, [[], []]);
    });
  }
}

test("new pools have the configuration's attributes and sender", () => {
  const stacks = templates({
    ...FROM_NOTHING,
    newPools: { customAttributes: ['tenant'], mailFrom: 'no-reply@example.jp' },
    originSubAttribute: 'custom:first_sub',
  });
  for (const [region, template] of Object.entries(stacks)) {
    const { Properties } = one(template, 'AWS::Cognito::UserPool', 'UserPool');
    assert.deepEqual(
      Properties.Schema.map(({ Name, Mutable }: { Name: string; Mutable: boolean }) => [Name, Mutable]),
      [
        ['tenant', true],
        ['first_sub', false],
      ],
    );
    assert.equal(Properties.EmailConfiguration.EmailSendingAccount, 'DEVELOPER');
    const where = region === 'primary' ? 'ap-northeast-1' : 'ap-northeast-3';
    assert.match(text(Properties.EmailConfiguration.SourceArn), new RegExp(`:ses:${where}:.*no-reply@example.jp$`));
  }
});

test('choices: x86-64, concurrency for triggers alone, log retention, mail for alarms', () => {
  const stacks = templates({
    ...FROM_NOTHING,
    architecture: 'x86_64',
    triggerConcurrency: 20,
    logDays: 30,
    alarmEmail: 'ops@example.jp',
  });
  for (const template of Object.values(stacks)) {
    for (const [id, { Properties }] of Object.entries(all(template, 'AWS::Lambda::Function'))) {
      assert.deepEqual(Properties.Architectures, ['x86_64']);
      assert.equal(Properties.ReservedConcurrentExecutions, id.includes('Trigger') ? 20 : undefined);
    }
    for (const { Properties } of Object.values(all(template, 'AWS::Logs::LogGroup'))) {
      assert.equal(Properties.RetentionInDays, 30);
    }
    const [subscription] = Object.values(all(template, 'AWS::SNS::Subscription'));
    assert.deepEqual(
      [subscription?.Properties.Protocol, subscription?.Properties.Endpoint],
      ['email', 'ops@example.jp'],
    );
  }
});

test('the primary stack waits for the id of a secondary pool that is not there yet', () => {
  const { app: cdk } = app({ ...FROM_NOTHING, secondary: { ...FROM_NOTHING.secondary, userPoolId: '' } });
  const stacks = cdk.synth().stacks.map(({ stackName }) => stackName);
  assert.deepEqual(stacks, ['TwinpoolSecondary']);
});

test('the regions are those of the configuration', () => {
  const { primary, secondary } = app(FROM_NOTHING);
  assert.equal(primary?.region, 'ap-northeast-1');
  assert.equal(secondary.region, 'ap-northeast-3');
  assert.deepEqual(list(primary?.dependencies ?? []), []);
});
