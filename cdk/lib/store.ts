// A bucket and its encryption key. Both are kept when the stack is deleted, because the data in them exists nowhere else.

import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type LifecycleRule, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

/**
 * How long the objects of reconcile are kept in the snapshot bucket.
 *
 * `withheld/` has no rule, and must not get one. A record there is the only memory of whom twinpool has disabled, and S3 cannot tell the
 * record of somebody who is still disabled, and will be enabled again, from that of somebody who was deleted long ago, whom only
 * `twinpool restore --withheld` brings back.
 */
export const RECONCILE_LIFECYCLE: LifecycleRule[] = [
  // Reports and changes of a run, which contain no values: a year, so that a yearly audit finds when somebody was disabled or deleted.
  // The id of a run begins with its year, so this prefix spares reconciles/latest.json and reconciles/lease.json.
  { id: 'reconciles', prefix: 'reconciles/2', expiration: Duration.days(365) },
  // The snapshot of the primary pool, and the import files and report of the fill that was made of it: all data of all people. A fill
  // that was interrupted goes on with a snapshot of the same day; after that, they only help to find out why somebody was not brought.
  { id: 'fills', prefix: 'fills/', expiration: Duration.days(30) },
];

export interface StoreProps {
  /** Only if the name must be known before the bucket exists. CloudFormation generates a name otherwise. */
  readonly bucketName?: string;
  readonly lifecycleRules?: LifecycleRule[];
}

/** The bucket that contains the snapshots, in this region or another one. */
export interface SnapshotLocation {
  readonly bucketName: string;
  readonly bucketArn: string;
  readonly keyArn: string;
  readonly region: string;
}

export class Store extends Construct {
  readonly bucket: Bucket;
  readonly key: Key;

  constructor(scope: Construct, id: string, props: StoreProps = {}) {
    super(scope, id);
    this.key = new Key(this, 'Key', {
      description: `${this.node.path}: encrypts people's attributes`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
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
        ...(props.lifecycleRules ?? []),
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // The bucket is kept when the stack is deleted, and must go on rejecting requests without TLS.
    this.bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);

    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        "Only twinpool's own roles can access the bucket. CloudTrail data events record every access with its caller. Server access logs " +
        "are best effort, and would copy object keys, which contain people's sub, to a place that this key does not protect.",
    });
  }
}
