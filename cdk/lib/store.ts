// A bucket and its key. Both outlive the stack: S3 holds the truth.

import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type LifecycleRule, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

export interface StoreProps {
  /** Only where the name must be known before there is a bucket. */
  readonly bucketName?: string;
  readonly lifecycleRules?: LifecycleRule[];
}

/** Where snapshots are, in this region or another. */
export interface Snapshots {
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
      description: `${this.node.path}: people's attributes are encrypted with it`,
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
    // A bucket that outlives the stack goes on refusing what is not TLS.
    this.bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);

    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        "The bucket is reachable by twinpool's own roles alone. Who read or wrote what is told by CloudTrail data events, which are " +
        "complete and carry the caller; server access logs are best effort, and would copy object keys, which hold people's sub, out of this key's protection.",
    });
  }
}
