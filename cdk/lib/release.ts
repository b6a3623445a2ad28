// Plain CloudFormation templates for a release, for people who do not use the AWS CDK: the pools, the names of the buckets and the place
// of the zips are parameters. The pools exist already, and CloudFormation does not change them.

import {
  type App,
  Aws,
  CfnCondition,
  CfnParameter,
  CfnResource,
  Fn,
  type IResolvable,
  type IStackSynthesizer,
  LegacyStackSynthesizer,
  Token,
} from 'aws-cdk-lib';
import { type IUserPool, UserPool } from 'aws-cdk-lib/aws-cognito';
import { Architecture, Code } from 'aws-cdk-lib/aws-lambda';
import { Bucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import { CfnSubscription } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import {
  Backup,
  Fence,
  ImportLogsRole,
  OperatorPolicies,
  Replication,
  Restore,
  type Twin,
} from './constructs/index.ts';
import { Monitoring } from './monitoring.ts';
import { OutputStack } from './stack.ts';

/** Creates the stacks whose templates are in a release. */
export function createReleaseStacks(app: App): void {
  new PrimaryTemplate(
    app,
    'twinpool-primary',
    'twinpool: replicates the users of a primary pool, and restores newcomers',
  );
  new SecondaryTemplate(
    app,
    'twinpool-secondary',
    'twinpool: the fence of a secondary pool, and snapshots of its users',
  );
  new SingleTemplate(app, 'twinpool-single', 'twinpool: snapshots of the users of one pool, and their restore');
}

abstract class ReleaseTemplate extends OutputStack {
  protected readonly userPool: IUserPool;
  protected readonly monitoring: Monitoring;
  private readonly originSubAttribute: string;
  private readonly architecture: string;
  private readonly codeBucket: IBucket;
  private readonly codePrefix: string;

  constructor(scope: Construct, id: string, description: string) {
    super(scope, id, {
      description,
      // A template without assets needs no bootstrapped account.
      synthesizer: new LegacyStackSynthesizer() as IStackSynthesizer,
    });
    const pool = this.parameter('UserPoolId', 'The id of the user pool, in the region of this stack', POOL_ID);
    this.userPool = UserPool.fromUserPoolId(this, 'UserPool', pool);
    const attribute = this.parameter(
      'OriginSubAttribute',
      "The attribute that keeps a person's first sub. Empty: none",
      {
        default: 'custom:origin_sub',
      },
    );
    this.originSubAttribute = this.unlessEmpty('HasOriginSub', attribute, attribute);
    this.architecture = this.parameter('ProcessorArchitecture', 'The processor architecture of the functions', {
      default: 'arm64',
      allowedValues: ['arm64', 'x86_64'],
    });
    const codeBucketName = this.parameter(
      'CodeBucketName',
      'The bucket with the zips, in the same region',
      BUCKET_NAME,
    );
    this.codeBucket = Bucket.fromBucketName(this, 'CodeBucket', codeBucketName);
    this.codePrefix = this.parameter('CodePrefix', 'What the keys of the zips begin with, such as twinpool/0.1.0/', {
      default: '',
    });
    const email = this.parameter('AlarmEmail', 'The address that is told of alarms. Empty: subscribe to the topic', {
      default: '',
    });
    this.monitoring = new Monitoring(this, 'Watch', '');
    const subscription = new CfnSubscription(this, 'AlarmSubscription', {
      topicArn: this.monitoring.topic.topicArn,
      protocol: 'email',
      endpoint: email,
    });
    subscription.cfnOptions.condition = this.isNotEmpty('HasAlarmEmail', email);
  }

  protected parameter(
    id: string,
    description: string,
    options: { default?: string; allowedPattern?: string; allowedValues?: string[] } = {},
  ): string {
    return new CfnParameter(this, id, { type: 'String', description, ...options }).valueAsString;
  }

  private isNotEmpty(id: string, value: string): CfnCondition {
    return new CfnCondition(this, id, { expression: Fn.conditionNot(Fn.conditionEquals(value, '')) });
  }

  /** A value that is left out of the template if a parameter is empty. */
  private unlessEmpty(id: string, parameter: string, value: string): string {
    const chosen: IResolvable = Fn.conditionIf(this.isNotEmpty(id, parameter).logicalId, value, Aws.NO_VALUE);
    return Token.asString(chosen);
  }

  protected alarmSettings() {
    return { userPool: this.userPool, alarmTopic: this.monitoring.topic, alarmScope: this.monitoring };
  }

  /** The settings of a construct whose functions run this binary. */
  protected functionSettings(binary: string) {
    return {
      ...this.alarmSettings(),
      originSubAttribute: this.originSubAttribute,
      architecture: Architecture.custom(this.architecture),
      code: this.codeOf(binary),
    };
  }

  /** The zip of a binary, in the bucket of the parameters. */
  private codeOf(binary: string): Code {
    return Code.fromBucket(this.codeBucket, Fn.join('', [this.codePrefix, `${binary}-`, this.architecture, '.zip']));
  }
}

const POOL_ID = { allowedPattern: '^[\\w-]+_[0-9a-zA-Z]+$' };
const BUCKET_NAME = { allowedPattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' };

class PrimaryTemplate extends ReleaseTemplate {
  constructor(scope: Construct, id: string, description: string) {
    super(scope, id, description);
    const twin: Twin = {
      userPoolId: this.parameter('SecondaryUserPoolId', 'The id of the secondary pool, in another region', POOL_ID),
      snapshotBucketName: this.parameter('SnapshotBucketName', 'The output of the secondary stack', BUCKET_NAME),
      snapshotKeyArn: this.parameter('SnapshotKeyArn', 'The output of the secondary stack'),
    };
    const replication = new Replication(this, 'Replication', {
      ...this.functionSettings('replicate-fn'),
      twin,
      outboxBucketName: this.parameter('OutboxBucketName', 'The name of the outbox bucket to create', BUCKET_NAME),
    });
    const restore = new Restore(this, 'Restore', { ...this.functionSettings('restore-fn'), twin });
    this.addTriggerOutputs('replicate-fn', replication);
    this.addRestoreOutputs(restore);
    const { userPool } = this;
    this.addPolicyOutputs(new OperatorPolicies(this, 'Operators', { primary: { userPool, replication, restore } }));
  }
}

/** The backup of the pool, whose snapshot bucket is a parameter. */
abstract class BackupTemplate extends ReleaseTemplate {
  /** `primaryUserPoolId` is the pool whose twin this is; without it, the pool has no twin. */
  protected addBackup(primaryUserPoolId?: string): Backup {
    const backup = new Backup(this, 'Backup', {
      ...this.functionSettings('backup-fn'),
      isSinglePool: primaryUserPoolId === undefined,
      ...(primaryUserPoolId !== undefined && { primaryUserPoolId }),
      snapshotBucketName: this.parameter('BucketName', 'The name of the snapshot bucket to create', BUCKET_NAME),
    });
    this.addBackupOutputs(backup);
    this.addOutput('SnapshotKeyArn', backup.twin.snapshotKeyArn, 'The encryption key of the snapshot bucket');
    return backup;
  }
}

class SecondaryTemplate extends BackupTemplate {
  constructor(scope: Construct, id: string, description: string) {
    super(scope, id, description);
    const backup = this.addBackup(
      this.parameter('PrimaryUserPoolId', 'The id of the primary pool, in another region', POOL_ID),
    );
    const wanted = this.parameter('AddFence', 'Whether the pool gets the fence. A pool can have one web ACL only', {
      allowedValues: ['true', 'false'],
    });
    const { userPool } = this;
    const importLogsRole = new ImportLogsRole(this, 'ImportLogsRole', { userPool });
    const hasFence = new CfnCondition(this, 'HasFence', { expression: Fn.conditionEquals(wanted, 'true') });
    const fence = new Fence(this, 'Fence', {
      userPool,
      alarmTopic: this.monitoring.topic,
      metricPrefix: `${Aws.STACK_NAME}-fence`,
    });
    for (const child of fence.node.findAll()) {
      if (CfnResource.isCfnResource(child)) {
        child.cfnOptions.condition = hasFence;
      }
    }
    this.addOutput('ImportLogsRoleArn', importLogsRole.roleArn, 'The role for twinpool reconcile --logs-role');
    // A policy needs a resource. Without the fence it is one that the action does not apply to.
    const fenceArn = Token.asString(
      Fn.conditionIf(hasFence.logicalId, fence.webAcl.attrArn, userPool.userPoolArn) as IResolvable,
    );
    this.addPolicyOutputs(
      new OperatorPolicies(this, 'Operators', { secondary: { userPool, backup, importLogsRole, fenceArn } }),
    );
  }
}

class SingleTemplate extends BackupTemplate {
  constructor(scope: Construct, id: string, description: string) {
    super(scope, id, description);
    const backup = this.addBackup();
    const restore = new Restore(this, 'Restore', { ...this.functionSettings('restore-fn'), twin: backup.twin });
    this.addRestoreOutputs(restore);
    const { userPool } = this;
    this.addPolicyOutputs(
      new OperatorPolicies(this, 'Operators', { primary: { userPool, restore }, secondary: { userPool, backup } }),
    );
  }
}
