// Somebody else's CDK app, in strict TypeScript: pools with triggers of their own, and all constructs of the packed package twinpool-cdk
// around them. test/package.test.ts installs the package, compiles this file and runs it.

import { join } from 'node:path';
import { App, CfnOutput, Duration, Stack, Validations } from 'aws-cdk-lib';
import { Mfa, UserPool } from 'aws-cdk-lib/aws-cognito';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { Backup, Fence, ImportLogsRole, OperatorPolicies, Replication, Restore, type Twin } from 'twinpool-cdk';
import { acknowledgeFindings } from 'twinpool-cdk/nag';

/** Stands for a binary of twinpool. The CDK wants a new instance in each stack. */
const binary = () => Code.fromAsset(join(__dirname, 'stub'));

/** A user pool of this app, with a pre-sign-up trigger. */
class Pool extends UserPool {
  constructor(scope: Stack, id: string) {
    const welcome = new LambdaFunction(scope, `${id}Welcome`, {
      runtime: Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      code: Code.fromAsset(join(__dirname, 'stub')),
    });
    super(scope, id, {
      signInAliases: { email: true },
      mfa: Mfa.REQUIRED,
      mfaSecondFactor: { otp: true, sms: false },
      passwordPolicy: { minLength: 12, requireSymbols: true, requireDigits: true, requireUppercase: true },
      lambdaTriggers: { preSignUp: welcome },
    });
    Validations.of(this).acknowledge({ id: 'AwsSolutions-COG8', reason: 'This app does not need the Plus plan.' });
    Validations.of(welcome).acknowledge({
      id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
      reason: 'The function of this app only writes its log.',
    });
  }
}

class Osaka extends Stack {
  constructor(app: App) {
    super(app, 'ShopOsaka', { env: { region: 'ap-northeast-3' } });
    const alarmTopic = new Topic(this, 'Alarms', { enforceSSL: true });
    const code = binary();
    for (const [id, settings] of Object.entries({
      Customers: { snapshotRetention: Duration.days(30), variables: { LIST_USERS_RPS: '10' } },
      Staff: {},
    })) {
      const userPool = new Pool(this, id);
      const backup = new Backup(this, `${id}Backup`, {
        userPool,
        code,
        alarmTopic,
        originSubAttribute: 'custom:origin_sub',
        ...settings,
      });
      const fence = new Fence(this, `${id}Fence`, {
        userPool,
        alarmTopic,
        logRetention: RetentionDays.ONE_MONTH,
      });
      const importLogsRole = new ImportLogsRole(this, `${id}ImportLogs`, { userPool });
      const fenceArn = fence.webAcl.attrArn;
      new OperatorPolicies(this, `${id}Operators`, { secondary: { userPool, backup, fenceArn, importLogsRole } });
    }
  }
}

class Tokyo extends Stack {
  constructor(app: App) {
    super(app, 'ShopTokyo', { env: { region: 'ap-northeast-1' } });
    const alarmTopic = new Topic(this, 'Alarms', { enforceSSL: true });
    const twin: Twin = {
      userPoolId: 'ap-northeast-3_Customers',
      snapshotBucketName: 'twinpool-snapshots-0123456789ab-01234567',
      snapshotKeyArn: this.formatArn({
        service: 'kms',
        region: 'ap-northeast-3',
        resource: 'key',
        resourceName: '0123',
      }),
    };
    const common = { twin, code: binary(), alarmTopic, originSubAttribute: 'custom:origin_sub' };
    const userPool = new Pool(this, 'Customers');
    const replication = new Replication(this, 'Replication', {
      userPool,
      ...common,
      variables: { WITHHOLD_DAYS: '14' },
    });
    const restore = new Restore(this, 'Restore', { userPool, ...common });
    new OperatorPolicies(this, 'Operators', { primary: { userPool, replication, restore } });
    new CfnOutput(this, 'Mine', { value: `${replication.trigger.functionName} ${restore.worker.functionName}` });

    const imported = UserPool.fromUserPoolId(this, 'Imported', 'ap-northeast-1_Imported');
    const around = new Replication(this, 'AroundImported', { userPool: imported, ...common });
    new CfnOutput(this, 'Attach', { value: around.attachCommand ?? '' });
  }
}

// A violation that nobody has acknowledged is an error.
const app = new App({ outdir: 'cdk.out', postCliContext: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
new Osaka(app);
new Tokyo(app);
acknowledgeFindings(app);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
