// A bucket and its encryption key. Both are kept when the stack is deleted, because the data in them exists nowhere else.

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type LifecycleRule, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

/**
 * How long the objects of the snapshot bucket are kept. docs/deploy.md has the same as a table, with who may read them.
 *
 * Some have no rule, and must not get one:
 * - `journal/` says who has used the secondary pool, and what they were then. Reconcile would overwrite what somebody changed there if
 *   their record had expired. A record lives as long as its person's user; `twinpool forget` removes it.
 * - `withheld/` is the only memory of whom twinpool has disabled, and S3 cannot tell the record of somebody who is still disabled, and
 *   will be enabled again, from that of somebody who was deleted long ago, whom only `twinpool restore --withheld` brings back.
 *   `twinpool forget` removes a record.
 * - `forgotten/` keeps a person from being made again, also from a copy that is older than every rule here. It contains a hash.
 * - Pointers and leases (`latest.json`, `restores/open.json` and so on) are small, and contain nobody. The names of runs begin with
 *   their year, so the prefixes below spare them.
 */
export function snapshotLifecycle(retention: Duration, hasTwin: boolean): LifecycleRule[] {
  return [
    // No rule can spare the snapshot that latest.json names. When it has expired, the next one counts as shrunk until somebody accepts
    // it.
    expire('snapshots', 'snapshots/', retention),
    // Intermediate results of snapshots and reconciles that take more than one invocation. They are not needed once these are complete.
    expire('parts', 'parts/', Duration.days(7)),
    // The import files contain the same people as the snapshot that they were made of, so they are kept no longer.
    expire('restores', 'restores/2', retention),
    // A pool without a twin is not reconciled, and has no failover.
    ...(hasTwin ? TWIN_LIFECYCLE : []),
  ];
}

const TWIN_LIFECYCLE: LifecycleRule[] = [
  // Reports and changes of a run, which contain no values: a year, so that a yearly audit finds when somebody was disabled or deleted.
  expire('reconciles', 'reconciles/2', Duration.days(365)),
  // Hashes of values that the secondary pool has refused. Without its hash, a value is tried once more.
  expire('refused', 'reconciles/refused/', Duration.days(365)),
  // The snapshot of the primary pool, and the import files and report of the fill that was made of it: all data of all people. A fill
  // that was interrupted goes on with a snapshot of the same day; after that, they only help to find out why somebody was not brought.
  expire('fills', 'fills/', Duration.days(30)),
  // The evidence of a failover and a failback: who ran what and when, and counts. Audits ask for it for years.
  expire('failovers', 'failovers/2', Duration.days(5 * 365)),
];

/**
 * How long the objects of the outbox bucket are kept. `outbox/` has no rule: a record there is somebody who is nowhere else yet.
 *
 * A conflict contains the attributes of a person who could not be replicated. Whoever is still missing is found by every reconcile, so
 * nobody is overlooked when the record expires.
 */
export function outboxLifecycle(retention: Duration): LifecycleRule[] {
  return [expire('conflicts', 'conflicts/', retention)];
}

function expire(id: string, prefix: string, expiration: Duration): LifecycleRule {
  return { id, prefix, expiration };
}

export interface StoreProps {
  /** Only if the name must be known before the bucket exists. CloudFormation generates a name otherwise. */
  readonly bucketName?: string | undefined;
  readonly lifecycleRules: LifecycleRule[];
  readonly removalPolicy?: RemovalPolicy | undefined;
}

export class Store extends Construct {
  readonly bucket: Bucket;
  readonly key: Key;

  constructor(scope: Construct, id: string, props: StoreProps) {
    super(scope, id);
    const { removalPolicy = RemovalPolicy.RETAIN } = props;
    this.key = new Key(this, 'Key', {
      // Like the logical id, it leaves out what is called Default.
      description: `${this.node.path.replace('/Default/', '/')}: encrypts people's attributes`,
      enableKeyRotation: true,
      removalPolicy,
    });
    this.bucket = new Bucket(this, 'Bucket', {
      ...(props.bucketName ? { bucketName: props.bucketName } : {}),
      encryption: BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      lifecycleRules: [
        {
          id: 'superseded-and-unfinished',
          noncurrentVersionExpiration: Duration.days(7),
          expiredObjectDeleteMarker: true,
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
        ...props.lifecycleRules,
      ],
      removalPolicy,
    });
    // The bucket is kept when the stack is deleted, and must go on rejecting requests without TLS.
    this.bucket.policy?.applyRemovalPolicy(removalPolicy);
  }
}
