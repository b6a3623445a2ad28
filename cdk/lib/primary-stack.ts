// The primary region: replicate-fn for the primary pool, and restore-fn for the failback.

import type { StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { ConfigurationWithTwin } from './configuration.ts';
import { OperatorPolicies, Replication, Restore, type Twin } from './constructs/index.ts';
import { type CodeOf, TwinpoolStack } from './stack.ts';

export class PrimaryStack extends TwinpoolStack {
  constructor(scope: Construct, id: string, configuration: ConfigurationWithTwin, codeOf: CodeOf, props: StackProps) {
    super(scope, id, configuration, configuration.primary, {
      ...props,
      description:
        'twinpool: replicates the users who sign up in the primary pool to its twin, and restores newcomers after a failover',
    });
    const twin = this.twin(configuration);
    // The id Default adds nothing to the logical ids: earlier versions created these resources directly in the stack.
    const replication = new Replication(this, 'Default', {
      ...this.triggerSettings(),
      code: codeOf('replicate-fn'),
      twin,
      variables: configuration.variables,
    });
    const restore = new Restore(this, 'Restore', { ...this.functionSettings(), code: codeOf('restore-fn'), twin });
    const { userPool } = this;
    const policies = new OperatorPolicies(this, 'Operators', { primary: { userPool, replication, restore } });
    this.monitoring.createDashboard({
      alarms: [...replication.alarms, ...restore.alarms],
      functions: [replication.trigger, replication.worker, restore.worker],
      currentValues: replication.currentValues,
      graphs: replication.graphs,
    });

    this.addOutput('UserPoolId', this.userPool.userPoolId, 'The primary pool');
    this.addTriggerOutputs('replicate-fn', replication);
    this.addOutput('OutboxBucketName', replication.bucket.bucketName, 'outbox/ and conflicts/');
    this.addOutput(
      'SnapshotBucketName',
      twin.snapshotBucketName,
      'snapshots/, journal/, restores/, reconciles/, withheld/ and failovers/, in the secondary region',
    );
    this.addRestoreOutputs(restore);
    this.addPolicyOutputs(policies);
  }

  /** The twin, from the outputs of the secondary stack. */
  private twin({ secondary: { region, userPoolId, snapshotBucket, snapshotKeyId } }: ConfigurationWithTwin): Twin {
    return {
      userPoolId,
      snapshotBucketName: snapshotBucket,
      snapshotKeyArn: this.formatArn({ service: 'kms', region, resource: 'key', resourceName: snapshotKeyId }),
    };
  }
}
