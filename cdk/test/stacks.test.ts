// Properties of every stack, in all variants.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { app, FROM_NOTHING, SINGLE_VARIANTS, singleTemplate, stacks, templates, VARIANTS } from './app.ts';
import earlier from './logical-ids.json' with { type: 'json' };
import { all, list, one, text } from './template.ts';

/** The types of the resources of earlier versions, by stack and logical id. */
const EARLIER: Record<string, Record<string, string>> = earlier;

/** Asserts that a text begins with another. */
function assertBegins(found: string, beginning: string): void {
  assert.equal(found.slice(0, beginning.length), beginning);
}

/** The parts of each stack, by the beginning of their logical id. */
const STACKS = {
  primary: {
    name: 'TwinpoolPrimary',
    pool: 'ap-northeast-1_Primary',
    trigger: 'ReplicateTrigger',
    worker: 'ReplicateWorker',
    others: ['Restore'],
    store: 'Outbox',
    schedule: 'Schedule',
  },
  secondary: {
    name: 'TwinpoolSecondary',
    pool: 'ap-northeast-3_Secondary',
    trigger: 'BackupTrigger',
    worker: 'BackupWorker',
    others: [],
    store: 'BackupSnapshots',
    schedule: 'BackupSchedule',
  },
  single: {
    name: 'TwinpoolBackup',
    pool: 'ap-northeast-1_Primary',
    trigger: 'BackupTrigger',
    worker: 'BackupWorker',
    others: ['Restore'],
    store: 'BackupSnapshots',
    schedule: 'BackupSchedule',
  },
};

const TEMPLATES: Record<string, Record<string, Template>> = {};
for (const [variant, configuration] of Object.entries(VARIANTS)) {
  TEMPLATES[variant] = templates(configuration);
}
for (const [variant, configuration] of Object.entries(SINGLE_VARIANTS)) {
  TEMPLATES[variant] = { single: singleTemplate(configuration) };
}

for (const [variant, deployed] of Object.entries(TEMPLATES)) {
  for (const [kind, template] of Object.entries(deployed)) {
    const { name, pool, trigger, worker, others, store, schedule } = STACKS[kind as keyof typeof STACKS];
    const here = `${variant}, ${name}`;
    const isNew = ['from nothing', 'a single new pool'].includes(variant);

    test(`${here}: no circular dependency`, () => {
      assert.doesNotThrow(() => Template.fromJSON(template.toJSON()));
    });

    test(`${here}: independent of other stacks: no exports, imports, parameters of another stack or custom resources`, () => {
      const written = JSON.stringify(template.toJSON());
      assert.doesNotMatch(
        written,
        /Fn::ImportValue|"Export"|Custom::|CloudFormation::CustomResource|AWS::SSM::Parameter"/,
      );
      const lambdas = Object.keys(all(template, 'AWS::Lambda::Function'));
      assert.deepEqual(lambdas.length, 2 + others.length, 'only the trigger, the worker and restore-fn');
    });

    test(`${here}: timeout of 5 seconds for the trigger and 15 minutes for the others, with the architecture and runtime of the build`, () => {
      for (const [id, timeout] of [[trigger, 5], ...[worker, ...others].map((id) => [id, 900] as const)] as const) {
        const { Properties } = one(template, 'AWS::Lambda::Function', `${id}Function`);
        assert.equal(Properties.Timeout, timeout);
        assert.deepEqual(Properties.Architectures, ['arm64']);
        assert.equal(Properties.Runtime, 'provided.al2023');
        assert.equal(Properties.Handler, 'bootstrap');
      }
    });

    test(`${here}: Lambda does not retry the worker or restore-fn`, () => {
      for (const id of [worker, ...others]) {
        const { Properties } = one(template, 'AWS::Lambda::EventInvokeConfig', id);
        assert.equal(Properties.MaximumRetryAttempts, 0);
        assert.equal(Properties.MaximumEventAgeInSeconds, 60);
      }
    });

    test(`${here}: JSON logs at a level that includes metrics, with a retention period, and traces`, () => {
      for (const id of [trigger, worker, ...others]) {
        const { LoggingConfig, TracingConfig } = one(template, 'AWS::Lambda::Function', `${id}Function`).Properties;
        assert.equal(LoggingConfig.LogFormat, 'JSON');
        assert.equal(LoggingConfig.ApplicationLogLevel, 'INFO');
        assertBegins(text(LoggingConfig.LogGroup), `<${id}Logs`);
        assert.deepEqual(TracingConfig, { Mode: 'Active' });
        assert.equal(one(template, 'AWS::Logs::LogGroup', `${id}Logs`).Properties.RetentionInDays, 90);
      }
    });

    test(`${here}: the pool may invoke the trigger, and no other pool or account may`, () => {
      const { Properties } = one(template, 'AWS::Lambda::Permission', `${trigger}CalledByPool`);
      assert.equal(Properties.Action, 'lambda:InvokeFunction');
      assert.equal(Properties.Principal, 'cognito-idp.amazonaws.com');
      assertBegins(text(Properties.FunctionName), `<${trigger}Function`);
      assert.match(text(Properties.SourceArn), isNew ? /^<UserPool\w+\.Arn>$/ : new RegExp(`userpool/${pool}$`));
      assert.equal(text(Properties.SourceAccount), '<AWS::AccountId>');
    });

    test(`${here}: the bucket is encrypted with a key of its own, which rotates`, () => {
      const { Properties } = one(template, 'AWS::S3::Bucket', `${store}Bucket`);
      const [rule] = Properties.BucketEncryption.ServerSideEncryptionConfiguration;
      assert.equal(rule.ServerSideEncryptionByDefault.SSEAlgorithm, 'aws:kms');
      assertBegins(text(rule.ServerSideEncryptionByDefault.KMSMasterKeyID), `<${store}Key`);
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

    test(`${here}: the bucket rejects requests without TLS`, () => {
      const { Statement } = one(template, 'AWS::S3::BucketPolicy', `${store}Bucket`).Properties.PolicyDocument;
      const denied = Statement.find((s: { Condition: object }) =>
        JSON.stringify(s.Condition).includes('aws:SecureTransport'),
      );
      assert.equal(denied?.Effect, 'Deny');
      assert.equal(denied.Action, 's3:*');
      assert.deepEqual(denied.Condition, { Bool: { 'aws:SecureTransport': 'false' } });
    });

    test(`${here}: the bucket is versioned, and old versions and unfinished uploads expire soon`, () => {
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
      assert.ok(!('Prefix' in rule), 'the rule applies to the whole bucket');
    });

    test(`${here}: destroy keeps pool, bucket and key`, () => {
      for (const type of ['AWS::Cognito::UserPool', 'AWS::S3::Bucket', 'AWS::S3::BucketPolicy', 'AWS::KMS::Key']) {
        for (const [id, { DeletionPolicy, UpdateReplacePolicy }] of Object.entries(all(template, type))) {
          assert.equal(DeletionPolicy, 'Retain', id);
          assert.equal(UpdateReplacePolicy, 'Retain', id);
        }
      }
    });

    test(`${here}: destroy keeps what the pool needs to invoke its trigger, because sign-ups would fail otherwise`, () => {
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

    test(`${here}: errors and throttles of functions raise alarms`, () => {
      for (const [alarm, id] of [
        ['Trigger', trigger],
        ['Worker', worker],
        ...others.map((id) => [id, id] as const),
      ] as const) {
        for (const metric of ['Errors', 'Throttles']) {
          const { Properties } = one(template, 'AWS::CloudWatch::Alarm', `Watch${alarm}${metric}`);
          assert.equal(Properties.MetricName, metric);
          assert.equal(Properties.Namespace, 'AWS/Lambda');
          assert.equal(Properties.Threshold, 0);
          assertBegins(text(Properties.Dimensions[0].Value), `<${id}Function`);
        }
      }
    });

    test(`${here}: every alarm notifies the topic and describes its meaning`, () => {
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

    test(`${here}: the dashboard shows the failures of every function`, () => {
      const written = text(one(template, 'AWS::CloudWatch::Dashboard', 'WatchDashboard').Properties.DashboardBody);
      for (const id of Object.keys(all(template, 'AWS::Lambda::Function'))) {
        assert.match(written, new RegExp(`"AWS/Lambda","Errors","FunctionName","<${id}>"`), id);
      }
    });

    test(`${here}: the outputs contain the pool, the functions and the topic`, () => {
      const output = (name: string) => text(template.findOutputs(name)[name]?.['Value']);
      assert.match(output('UserPoolId'), isNew ? /^<UserPool\w+>$/ : new RegExp(`^${pool}$`));
      assert.match(output('TriggerArn'), new RegExp(`^<${trigger}Function\\w+\\.Arn>$`));
      assert.match(output('WorkerName'), new RegExp(`^<${worker}Function\\w+>$`));
      assert.match(output('AlarmTopicArn'), /^<WatchTopic\w+>$/);
      assert.match(output('SnapshotBucketName'), /^twinpool-snapshots-/);
    });

    test(`${here}: an output contains the command that attaches the trigger to an existing pool`, () => {
      const { AttachTrigger } = template.findOutputs('AttachTrigger');
      if (isNew) {
        assert.equal(AttachTrigger, undefined);
        return;
      }
      const command = new RegExp(`^twinpool attach --pool ${pool} --function <${trigger}Function\\w+\\.Arn>$`);
      assert.match(text(AttachTrigger?.['Value']), command);
      assert.match(AttachTrigger?.['Description'], /Cognito console/);
    });

    test(`${here}: the dashboard shows every alarm`, () => {
      const dashboard = one(template, 'AWS::CloudWatch::Dashboard', 'WatchDashboard').Properties;
      assert.equal(dashboard.DashboardName, name);
      const written = text(dashboard.DashboardBody);
      for (const id of Object.keys(all(template, 'AWS::CloudWatch::Alarm'))) {
        assert.ok(written.includes(`<${id}.Arn>`), id);
      }
    });

    test(`${here}: only schedules of this account may assume the role of the schedule`, () => {
      const [statement] = one(template, 'AWS::IAM::Role', `${schedule}Role`).Properties.AssumeRolePolicyDocument
        .Statement;
      assert.deepEqual(statement.Principal, { Service: 'scheduler.amazonaws.com' });
      assert.equal(text(statement.Condition.StringEquals['aws:SourceAccount']), '<AWS::AccountId>');
      assert.match(text(statement.Condition.StringEquals['aws:SourceArn']), /:schedule-group\/default$/);
    });
  }

  const pools = Object.values(deployed).map((template) => Object.values(all(template, 'AWS::Cognito::UserPool')));

  if (variant === 'a single new pool') {
    test('a single new pool: it has the settings of every new pool', () => {
      const { LambdaConfig: _, ...settings } = pools[0]?.[0]?.Properties ?? {};
      const { primary } = templates(FROM_NOTHING);
      const { LambdaConfig: __, ...those } = one(primary, 'AWS::Cognito::UserPool', 'UserPool').Properties;
      assert.deepEqual(settings, those);
    });
  } else if (variant === 'from nothing') {
    test('from nothing: both pools have the same settings except for their triggers', () => {
      const settings = pools.map(([pool, ...more]) => {
        assert.deepEqual(more, []);
        const { LambdaConfig, ...rest } = pool?.Properties ?? {};
        assert.match(text(LambdaConfig.PostConfirmation), /^<(Replicate|Backup)TriggerFunction/);
        assert.deepEqual(Object.keys(LambdaConfig), ['PostConfirmation']);
        return rest;
      });
      assert.deepEqual(settings[0], settings[1]);
    });

    test('from nothing: sign-in by email, MFA required with an authenticator app only, recovery by email, deletion protection', () => {
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
    test(`${variant}: the templates contain no pool`, () => {
      assert.deepEqual(pools.flat(), []);
    });
  }
}

test('new pools have the attributes and the sender of the configuration', () => {
  const both = templates({
    ...FROM_NOTHING,
    newPools: { customAttributes: ['tenant'], mailFrom: 'no-reply@example.jp' },
    originSubAttribute: 'custom:first_sub',
  });
  for (const [region, template] of Object.entries(both)) {
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

test('options: x86-64, reserved concurrency for triggers only, log retention, mail for alarms', () => {
  const both = templates({
    ...FROM_NOTHING,
    architecture: 'x86_64',
    triggerConcurrency: 20,
    logDays: 30,
    alarmEmail: 'ops@example.jp',
  });
  for (const template of Object.values(both)) {
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

for (const name of ['userPoolId', 'snapshotBucket', 'snapshotKeyId']) {
  test(`there is no primary stack before the secondary stack has this output: ${name}`, () => {
    const cdk = app({ ...FROM_NOTHING, secondary: { ...FROM_NOTHING.secondary, [name]: '' } });
    assert.deepEqual(Object.keys(stacks(cdk)), ['TwinpoolSecondary']);
  });
}

/** What the CDK prints of a kind, such as a warning, when it synthesises the app. */
const messages = (cdk: App, kind: string) =>
  cdk.node
    .findAll()
    .flatMap(({ node }) => node.metadata)
    .filter(({ type }) => type === kind)
    .map(({ data }) => String(data));

test('a deployment of the secondary stack alone is an error that says what to do, unless make deploy goes on with the primary stack', () => {
  const fresh = { ...FROM_NOTHING, secondary: { ...FROM_NOTHING.secondary, snapshotBucket: '' } };
  const [error, ...more] = messages(app(fresh), 'aws:cdk:error');
  assert.match(error ?? '', /there is no TwinpoolPrimary, and nobody would be replicated\. Run make deploy/);
  assert.deepEqual(more, []);

  assert.deepEqual(messages(app(fresh, { 'twinpool:both-stacks': 'true' }), 'aws:cdk:error'), []);
  assert.deepEqual(messages(app(FROM_NOTHING), 'aws:cdk:error'), []);
});

test('alarms that nobody receives are a warning in each stack', () => {
  for (const configuration of [FROM_NOTHING, ...Object.values(SINGLE_VARIANTS)]) {
    const warnings = messages(app(configuration), 'aws:cdk:warning');
    assert.equal(warnings.length, configuration.secondary ? 2 : 1);
    assert.match(warnings[0] ?? '', /alarmEmail is empty, so nobody is told of an alarm\. Set it, or subscribe/);
    assert.deepEqual(messages(app({ ...configuration, alarmEmail: 'ops@example.jp' }), 'aws:cdk:warning'), []);
  }
});

test('two pairs in one account share no name of a stack, a dashboard or a metric of the fence', () => {
  const named = { ...FROM_NOTHING, name: 'Orders' };
  assert.deepEqual(Object.keys(stacks(app(named))), ['OrdersSecondary', 'OrdersPrimary']);
  assert.deepEqual(Object.keys(stacks(app({ ...named, secondary: null }))), ['OrdersBackup']);
  const names = (configuration: typeof FROM_NOTHING) =>
    Object.values(templates(configuration)).flatMap((template) => [
      ...Object.values(all(template, 'AWS::CloudWatch::Dashboard')).map(({ Properties }) => Properties.DashboardName),
      ...[...JSON.stringify(all(template, 'AWS::WAFv2::WebACL')).matchAll(/"MetricName":"([^"]+)"/g)].map(
        ([, name]) => name,
      ),
    ]);
  assert.deepEqual(names(named), [
    'OrdersPrimary',
    'OrdersSecondary',
    'Orders-fence-allowed',
    'Orders-fence-limited',
    'Orders-fence-blocked',
  ]);
  const others = names(FROM_NOTHING);
  assert.deepEqual(
    names(named).filter((name) => others.includes(name)),
    [],
  );
});

test('no name, and the name that a configuration without one has, are the same deployment', () => {
  const [without, given] = [FROM_NOTHING, { ...FROM_NOTHING, name: 'Twinpool' }].map((it) =>
    Object.values(templates(it)).map((template) => template.toJSON()),
  );
  assert.deepEqual(given, without);
});

// A resource with another logical id is a new resource: CloudFormation deletes the old one, or leaves it behind.
test('every resource of earlier versions keeps its logical id and its type', () => {
  for (const [variant, deployed] of Object.entries(TEMPLATES)) {
    for (const [kind, template] of Object.entries(deployed)) {
      const name = (kind === 'single' ? variant : `${variant}-${kind}`).replaceAll(' ', '-');
      const earlier: Record<string, string> = EARLIER[name] ?? {};
      assert.ok(Object.keys(earlier).length > 20, name);
      const now = template.toJSON()['Resources'];
      for (const [id, type] of Object.entries(earlier)) {
        assert.equal(now[id]?.Type, type, `${name}: ${id}`);
      }
    }
  }
});

test('every stack is protected against deletion', () => {
  for (const configuration of [...Object.values(VARIANTS), ...Object.values(SINGLE_VARIANTS)]) {
    for (const [name, { terminationProtection }] of Object.entries(stacks(app(configuration)))) {
      assert.equal(terminationProtection, true, name);
    }
  }
});

test('the stacks are in the regions of the configuration', () => {
  const { TwinpoolPrimary, TwinpoolSecondary } = stacks(app(FROM_NOTHING));
  assert.equal(TwinpoolPrimary?.region, 'ap-northeast-1');
  assert.equal(TwinpoolSecondary?.region, 'ap-northeast-3');
  assert.deepEqual(list(TwinpoolPrimary?.dependencies ?? []), []);
});

test('without a twin there is one stack, in the region of the pool, without replicate-fn and without a fence', () => {
  for (const configuration of Object.values(SINGLE_VARIANTS)) {
    const [single, ...more] = Object.values(stacks(app(configuration)));
    assert.deepEqual(more, []);
    assert.equal(single?.stackName, 'TwinpoolBackup');
    assert.equal(single?.region, 'ap-northeast-1');
    const template = singleTemplate(configuration);
    template.resourceCountIs('AWS::WAFv2::WebACL', 0);
    assert.doesNotMatch(JSON.stringify(template.toJSON()), /[Rr]eplicate|[Oo]utbox|TARGET_USER_POOL_ID/);
  }
});

test('without a twin there is nothing of reconcile: no schedule, alarm, graph, lifecycle rule or permission to write', () => {
  for (const configuration of Object.values(SINGLE_VARIANTS)) {
    const template = singleTemplate(configuration);
    assert.doesNotMatch(
      JSON.stringify(template.toJSON()),
      /[Rr]econcile|MassChange|WITHHOLD|"fills\/|AdminEnableUser|AdminUserGlobalSignOut|CreateGroup/,
    );
  }
});

test('the graphs of a dashboard fit side by side, at least a quarter of its width each', () => {
  for (const deployed of Object.values(TEMPLATES)) {
    for (const template of Object.values(deployed)) {
      const body = text(one(template, 'AWS::CloudWatch::Dashboard', 'WatchDashboard').Properties.DashboardBody);
      const graphs = [...body.matchAll(/"type":"metric","width":(\d+),"height":7,"x":(\d+),"y":(\d+)/g)];
      assert.ok(graphs.length >= 4, `${graphs.length} graphs`);
      for (const [, width, x] of graphs) {
        assert.ok(Number(width) >= 6 && Number(x) + Number(width) <= 24, `${width} wide at ${x}`);
      }
      const places = new Set(graphs.map(([, , x, y]) => `${x}, ${y}`));
      assert.equal(places.size, graphs.length, 'no graph covers another');
    }
  }
});
