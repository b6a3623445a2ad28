// What the stacks of the app have in common: their pool, their monitoring, and the settings and outputs of their constructs.

import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { IUserPool } from 'aws-cdk-lib/aws-cognito';
import { Architecture, type Code } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Configuration, PoolChoice } from './configuration.ts';
import type { Backup, BackupProps, OperatorPolicies, Replication, Restore } from './constructs/index.ts';
import { Monitoring } from './monitoring.ts';
import { createOrReferToPool } from './new-pool.ts';

/** Returns the code of a binary: `replicate-fn`, `backup-fn` or `restore-fn`. */
export type CodeOf = (binary: string) => Code;

/** A stack with the outputs of twinpool's constructs, which the documents name. */
export abstract class OutputStack extends Stack {
  protected addOutput(id: string, value: string, description: string): void {
    new CfnOutput(this, id, { value, description });
  }

  /** Adds the outputs of a construct with a trigger, whose binary is called `name`. */
  protected addTriggerOutputs(name: string, { trigger, worker, attachCommand }: Replication | Backup): void {
    this.addOutput('TriggerArn', trigger.functionArn, `${name}, trigger`);
    this.addOutput('WorkerName', worker.functionName, `${name}, worker`);
    if (attachCommand) {
      this.addOutput(
        'AttachTrigger',
        attachCommand,
        'Command that attaches the trigger. Or use the Cognito console: the pool, Extensions, Add Lambda trigger, Sign-up, Post ' +
          'confirmation, this function. If the pool already has a post-confirmation trigger, see docs/deploy.md.',
      );
    }
  }

  protected addBackupOutputs(backup: Backup): void {
    this.addTriggerOutputs('backup-fn', backup);
    this.addOutput('SnapshotBucketName', backup.twin.snapshotBucketName, 'snapshots/, journal/ and restores/');
    this.addOutput('SnapshotKeyId', backup.key.keyId, 'The encryption key of the snapshot bucket');
  }

  /** Adds the ARNs of the policies for operators. */
  protected addPolicyOutputs({ policies }: OperatorPolicies): void {
    for (const [name, { managedPolicyArn }] of Object.entries(policies)) {
      this.addOutput(
        `${name}PolicyArn`,
        managedPolicyArn,
        `Policy ${name} for operators: docs/deploy.md, Who may run which command`,
      );
    }
  }

  protected addRestoreOutputs(restore: Restore): void {
    this.addOutput(
      'RestoreFunctionName',
      restore.worker.functionName,
      'restore-fn. Invoke it with a payload such as {"dry_run":true}',
    );
    this.addOutput(
      'RestoreCommand',
      restore.command,
      'Command that shows what a restore would do, and changes nothing. Without --dry-run it restores',
    );
    this.addOutput(
      'ImportLogsRoleArn',
      restore.importLogsRole.roleArn,
      'The role for import jobs, also for a job that you create in the Cognito console',
    );
  }
}

export abstract class TwinpoolStack extends OutputStack {
  protected readonly userPool: IUserPool;
  protected readonly monitoring: Monitoring;

  constructor(
    scope: Construct,
    id: string,
    protected readonly configuration: Configuration,
    protected readonly pool: PoolChoice,
    props: StackProps,
  ) {
    // The pools, buckets and keys would be kept, but nobody would be replicated any more.
    super(scope, id, { ...props, terminationProtection: true });
    this.userPool = createOrReferToPool(this, pool, configuration);
    this.monitoring = new Monitoring(this, 'Watch', configuration.alarmEmail);
  }

  /** Adds what `twinpool init` reads beside the outputs of the constructs. */
  protected addOriginSubOutput(): void {
    const { originSubAttribute } = this.configuration;
    if (originSubAttribute) {
      this.addOutput('OriginSubAttribute', originSubAttribute, "The attribute that keeps a person's first sub");
    }
  }

  /** The settings of a construct without functions. */
  protected alarmSettings() {
    return { userPool: this.userPool, alarmTopic: this.monitoring.topic, alarmScope: this.monitoring };
  }

  /** The settings of a construct with functions. */
  protected functionSettings() {
    const { architecture, logDays, originSubAttribute } = this.configuration;
    return {
      ...this.alarmSettings(),
      architecture: architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
      logRetention: logDays,
      originSubAttribute,
    };
  }

  /** The settings of a construct with a trigger of the pool. */
  protected triggerSettings() {
    const { triggerConcurrency } = this.configuration;
    const { postConfirmation } = this.pool;
    return {
      ...this.functionSettings(),
      ...(triggerConcurrency && { triggerConcurrency }),
      ...(postConfirmation && { postConfirmationFunctionArn: postConfirmation }),
    };
  }

  /** The settings of the backup of the pool. */
  protected backupSettings(): Omit<BackupProps, 'code'> {
    return {
      ...this.triggerSettings(),
      snapshotRetention: Duration.days(this.configuration.snapshotDays),
      variables: this.configuration.variables,
    };
  }
}
